// Who uses which KV block: ids and reference counts, no memory and no pointers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace solard {

using BlockId = std::int32_t;

// Engine thread. Misuse (an id that is not in use) throws std::logic_error: a block with two owners would
// leak one client's text to another.
class BlockPool {
  public:
    explicit BlockPool(std::int32_t num_blocks);

    // A free block, now with one reference; nullopt when all are in use.
    std::optional<BlockId> allocate();
    void retain(BlockId block);
    // The block is free once its last reference went.
    void release(BlockId block);

    std::int32_t num_blocks() const { return static_cast<std::int32_t>(references_.size()); }
    std::int32_t num_free() const { return static_cast<std::int32_t>(free_.size()); }
    std::int32_t num_references(BlockId block) const {
        return references_.at(static_cast<std::size_t>(block));
    }

    // Throws std::logic_error that says what is wrong unless every block is either free, once, or referenced.
    void check_integrity() const;

  private:
    std::int32_t& references_in_use(BlockId block);

    std::vector<std::int32_t> references_;  // [num_blocks]
    std::vector<BlockId> free_;             // a stack: the block freed last is the likeliest to be in a cache
};

}  // namespace solard
