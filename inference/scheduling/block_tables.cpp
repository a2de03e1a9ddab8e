#include "inference/scheduling/block_tables.hpp"

#include <algorithm>
#include <ranges>
#include <stdexcept>
#include <utility>

#include "inference/backend.hpp"
#include "inference/scheduling/fair_share.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

// Hashes the first `num_blocks` whole blocks of the known tokens, unless they are hashed already.
void name_blocks(Sequence& sequence, std::int32_t num_blocks, const HashKey& key) {
    auto& hashes = sequence.block_hashes;
    while (std::cmp_less(hashes.size(), num_blocks)) {
        const BlockHash parent = hashes.empty() ? root_hash(key, sequence.request.cache_salt) : hashes.back();
        const auto tokens =
            std::span(sequence.token_ids).subspan(hashes.size() * kv_block_size, kv_block_size);
        hashes.push_back(chained_hash(key, parent, tokens));
    }
}

}  // namespace

std::int32_t blocks_ahead(const Sequence& sequence) {
    const std::int32_t tokens = std::min(sequence.num_tokens() + kv_block_size, sequence.max_kv_tokens());
    const std::int32_t each = blocks_for(tokens);
    const std::int32_t shared = sequence.num_tokens() / kv_block_size;
    return each - static_cast<std::int32_t>(sequence.block_table.size()) +
           (sequence.num_slots() - 1) * std::max(each - shared, 0);
}

BlockTables::BlockTables(std::int32_t num_blocks, std::int32_t max_running,
                         const std::optional<HashKey>& hash_key)
    : pool_(num_blocks), hash_key_(hash_key) {
    copy_sources_.reserve(count_of(max_running));
    quarantine_.reserve(count_of(num_blocks));
}

void BlockTables::fill_snapshot(EngineSnapshot& snapshot) const {
    snapshot.num_blocks = pool_.num_blocks();
    snapshot.num_free_blocks = pool_.num_free();
    snapshot.num_cached_blocks = pool_.num_registered();
    snapshot.prefix_cache_queries = num_queries_;
    snapshot.prefix_cache_hits = num_hits_;
}

std::int32_t BlockTables::capacity_for(const Sequence& sequence) const {
    const auto held = static_cast<std::int32_t>(sequence.block_table.size());
    std::int32_t free = pool_.num_free();
    if (writes_shared_block(sequence) && --free < 0) return 0;
    return (held + free) * kv_block_size - sequence.num_computed_tokens - sequence.num_scheduled_tokens;
}

// Returns true if the next token goes into a block to which other sequences refer as well.
bool BlockTables::writes_shared_block(const Sequence& sequence) const {
    const std::int32_t next = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    if (next % kv_block_size == 0 || sequence.num_scheduled_tokens > 0) return false;
    const BlockId block = sequence.block_table[count_of(next / kv_block_size)];
    return pool_.num_references(block) > 1;
}

void BlockTables::grow(Sequence& sequence) {
    const std::int32_t next = sequence.num_computed_tokens;
    if (sequence.copied_from < 0 && next % kv_block_size != 0) {
        BlockId& written = sequence.block_table[count_of(next / kv_block_size)];
        if (pool_.num_references(written) > 1) {
            sequence.copied_from = std::exchange(written, allocate());
            pool_.release(sequence.copied_from);
            copy_sources_.push_back(sequence.copied_from);
        }
    }
    const std::int32_t num_blocks = blocks_for(next + sequence.num_scheduled_tokens);
    while (std::cmp_less(sequence.block_table.size(), num_blocks)) {
        sequence.block_table.push_back(allocate());
        ++sequence.principal->num_blocks;
    }
}

BlockId BlockTables::allocate() {
    const auto block = pool_.allocate();
    if (!block) throw std::logic_error("no KV block is free, although the pool's counter says that one is");
    return *block;
}

void BlockTables::trim(Sequence& sequence) {
    while (std::cmp_greater(sequence.block_table.size(), blocks_for(sequence.num_computed_tokens))) {
        release(sequence.block_table.back());
        sequence.block_table.pop_back();
        --sequence.principal->num_blocks;
    }
}

// Releases the last block first, so that the beginnings of prompts are cached longest.
void BlockTables::release_all(Sequence& sequence) {
    sequence.principal->num_blocks -= static_cast<std::int32_t>(sequence.block_table.size());
    for (const BlockId block : std::views::reverse(sequence.block_table)) release(block);
    sequence.block_table.clear();
    sequence.copied_from = -1;
}

// Releases the block. If the step in flight may still touch the block, the block is put into the quarantine.
// The same is done if this step copies from the block: a free block could become the destination of another
// copy.
void BlockTables::release(BlockId block) {
    if (in_flight_ || std::ranges::find(copy_sources_, block) != copy_sources_.end()) {
        quarantine_.push_back(block);
    } else {
        pool_.release(block);
    }
}

void BlockTables::end_step() {
    in_flight_ = false;
    copy_sources_.clear();
    for (const BlockId block : quarantine_) pool_.release(block);
    quarantine_.clear();
}

BlockTables::CachedPrefix BlockTables::find_cached(Sequence& sequence) {
    if (!hash_key_ || sequence.scores_prompt()) return {};
    const std::int32_t max_blocks = (sequence.num_tokens() - 1) / kv_block_size;
    name_blocks(sequence, max_blocks, *hash_key_);
    std::int32_t num_blocks = 0;
    std::int32_t num_in_use = 0;
    for (; num_blocks < max_blocks; ++num_blocks) {
        const auto block = pool_.find(sequence.block_hashes[count_of(num_blocks)]);
        if (!block) break;
        if (pool_.num_references(*block) > 0) ++num_in_use;
    }
    return {.num_blocks = num_blocks, .num_blocks_in_use = num_in_use};
}

void BlockTables::take_cached(Sequence& sequence, std::int32_t num_blocks) {
    for (std::int32_t i = 0; i < num_blocks; ++i) {
        const auto block = pool_.find(sequence.block_hashes[count_of(i)]);
        if (!block) throw std::logic_error("a cached block vanished before its use");
        pool_.retain(*block);
        sequence.block_table.push_back(*block);
    }
    sequence.principal->num_blocks += num_blocks;
    sequence.num_registered_blocks = num_blocks;
    sequence.num_computed_tokens = num_blocks * kv_block_size;
    if (sequence.num_preemptions > 0) return;
    sequence.num_cached_tokens = sequence.num_computed_tokens;
    if (!hash_key_ || sequence.scores_prompt()) return;  // nothing was looked up
    num_queries_ += static_cast<std::uint64_t>(sequence.num_prompt_tokens);
    num_hits_ += static_cast<std::uint64_t>(sequence.num_cached_tokens);
}

void BlockTables::register_blocks(Sequence& sequence) {
    if (!hash_key_) return;
    const std::int32_t whole = sequence.num_computed_tokens / kv_block_size;
    name_blocks(sequence, whole, *hash_key_);
    for (std::int32_t& i = sequence.num_registered_blocks; i < whole; ++i) {
        const auto index = count_of(i);
        pool_.register_content(sequence.block_table[index], sequence.block_hashes[index]);
    }
}

void BlockTables::share(const Sequence& leader, Sequence& fork) {
    fork.block_table.assign(leader.block_table.begin(), leader.block_table.end());
    for (const BlockId block : fork.block_table) pool_.retain(block);
    fork.principal->num_blocks += static_cast<std::int32_t>(fork.block_table.size());
    fork.block_hashes.assign(leader.block_hashes.begin(), leader.block_hashes.end());
    fork.num_registered_blocks = leader.num_registered_blocks;
    fork.num_computed_tokens = leader.num_computed_tokens;
    fork.num_cached_tokens = leader.num_cached_tokens;
}

}  // namespace solard
