#include "inference/block_pool.hpp"

#include <stdexcept>
#include <string>

namespace solard {

BlockPool::BlockPool(std::int32_t num_blocks) : references_(static_cast<std::size_t>(num_blocks)) {
    free_.reserve(references_.size());
    for (BlockId block = num_blocks; block-- > 0;) free_.push_back(block);
}

std::optional<BlockId> BlockPool::allocate() {
    if (free_.empty()) return std::nullopt;
    const BlockId block = free_.back();
    free_.pop_back();
    references_[static_cast<std::size_t>(block)] = 1;
    return block;
}

void BlockPool::retain(BlockId block) {
    ++references_in_use(block);
}

void BlockPool::release(BlockId block) {
    if (--references_in_use(block) == 0) free_.push_back(block);
}

std::int32_t& BlockPool::references_in_use(BlockId block) {
    if (block < 0 || block >= num_blocks() || references_[static_cast<std::size_t>(block)] == 0) {
        throw std::logic_error("KV block " + std::to_string(block) + " is not in use");
    }
    return references_[static_cast<std::size_t>(block)];
}

void BlockPool::check_integrity() const {
    std::vector<bool> is_free(references_.size());
    for (const BlockId block : free_) {
        const auto i = static_cast<std::size_t>(block);
        if (is_free.at(i)) throw std::logic_error("KV block " + std::to_string(block) + " is free twice");
        is_free[i] = true;
    }
    for (std::size_t i = 0; i < references_.size(); ++i) {
        if (references_[i] < 0 || is_free[i] != (references_[i] == 0)) {
            throw std::logic_error("KV block " + std::to_string(i) + " has " +
                                   std::to_string(references_[i]) + " references and is " +
                                   (is_free[i] ? "free" : "not free"));
        }
    }
}

}  // namespace solard
