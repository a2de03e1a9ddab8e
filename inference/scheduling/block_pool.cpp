#include "inference/scheduling/block_pool.hpp"

#include <bit>
#include <stdexcept>
#include <string>

#include "inference/sizes.hpp"

namespace solard {
namespace {

[[noreturn]] void fail(BlockId block, const char* what) {
    throw std::logic_error("KV block " + std::to_string(block) + " " + what);
}

}  // namespace

BlockPool::BlockPool(std::int32_t num_blocks)
    : blocks_(count_of(num_blocks)), buckets_(std::bit_ceil(blocks_.size() + 1), none) {
    for (BlockId block = 0; block < num_blocks; ++block) link_back(block);
}

std::optional<BlockId> BlockPool::allocate() {
    if (first_free_ == none) return std::nullopt;
    const BlockId block = first_free_;
    unlink(block);
    if (at(block).registered) forget_content(block);
    at(block).references = 1;
    return block;
}

void BlockPool::retain(BlockId block) {
    if (block < 0 || block >= num_blocks()) fail(block, "does not exist");
    Block& kept = at(block);
    if (kept.references == 0) {
        if (!kept.registered) fail(block, "is not in use");
        unlink(block);
    }
    ++kept.references;
}

void BlockPool::release(BlockId block) {
    Block& released = in_use(block);
    if (--released.references > 0) return;
    if (released.registered) {
        link_back(block);
    } else {
        link_front(block);  // the block freed last is most likely still in a cache of the processor
    }
}

std::optional<BlockId> BlockPool::find(const BlockHash& hash) const {
    for (BlockId block = bucket_of(hash); block != none; block = at(block).next_in_bucket) {
        if (at(block).hash == hash) return block;
    }
    return std::nullopt;
}

void BlockPool::register_content(BlockId block, const BlockHash& hash) {
    Block& registered = in_use(block);
    if (registered.registered) fail(block, "is registered already");
    if (find(hash)) return;
    registered.registered = true;
    registered.hash = hash;
    BlockId& bucket = bucket_of(hash);
    registered.next_in_bucket = bucket;
    bucket = block;
    ++num_registered_;
}

void BlockPool::forget_content(BlockId block) {
    Block& forgotten = at(block);
    BlockId* link = &bucket_of(forgotten.hash);
    while (*link != block) link = &at(*link).next_in_bucket;
    *link = forgotten.next_in_bucket;
    forgotten.next_in_bucket = none;
    forgotten.registered = false;
    --num_registered_;
}

BlockPool::Block& BlockPool::in_use(BlockId block) {
    if (block < 0 || block >= num_blocks() || at(block).references <= 0) fail(block, "is not in use");
    return at(block);
}

void BlockPool::link_front(BlockId block) {
    at(block).previous = none;
    at(block).next = first_free_;
    (first_free_ == none ? last_free_ : at(first_free_).previous) = block;
    first_free_ = block;
    ++num_free_;
}

void BlockPool::link_back(BlockId block) {
    at(block).previous = last_free_;
    at(block).next = none;
    (last_free_ == none ? first_free_ : at(last_free_).next) = block;
    last_free_ = block;
    ++num_free_;
}

void BlockPool::unlink(BlockId block) {
    const Block& unlinked = at(block);
    (unlinked.previous == none ? first_free_ : at(unlinked.previous).next) = unlinked.next;
    (unlinked.next == none ? last_free_ : at(unlinked.next).previous) = unlinked.previous;
    --num_free_;
}

void BlockPool::check_integrity() const {
    std::vector<bool> is_free(blocks_.size());
    std::int32_t counted = 0;
    for (BlockId block = first_free_; block != none; block = at(block).next) {
        const auto i = count_of(block);
        if (is_free.at(i)) fail(block, "is free twice");
        is_free[i] = true;
        ++counted;
    }
    if (counted != num_free_) throw std::logic_error("the number of free KV blocks is wrong");
    std::int32_t registered = 0;
    for (BlockId block = 0; block < num_blocks(); ++block) {
        const Block& checked = at(block);
        if (checked.references < 0 || is_free[count_of(block)] != (checked.references == 0)) {
            fail(block, is_free[count_of(block)] ? "is free and in use" : "is lost");
        }
        if (!checked.registered) continue;
        ++registered;
        if (find(checked.hash) != block) fail(block, "is registered but cannot be found");
    }
    if (registered != num_registered_) throw std::logic_error("the number of registered KV blocks is wrong");
    std::int32_t findable = 0;
    for (BlockId block : buckets_) {
        for (; block != none; block = at(block).next_in_bucket) ++findable;
    }
    if (findable != num_registered_) throw std::logic_error("a KV block without content can be found");
}

}  // namespace solard
