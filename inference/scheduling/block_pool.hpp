// Who uses which KV block, and which content a block still holds: ids and counts, no memory, no pointers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "inference/scheduling/block_hash.hpp"

namespace solard {

using BlockId = std::int32_t;

// A block is free or has references. A block whose content is registered can be found by its hash, also while
// it is free: until somebody else needs the memory, its next reader only takes a reference (prefix cache).
// Free blocks without content are handed out first, then those least recently used.
//
// Engine thread. Takes all memory at construction. Misuse (an id that is not in use) throws std::logic_error:
// a block with two owners would leak one client's text to another.
class BlockPool {
  public:
    explicit BlockPool(std::int32_t num_blocks);

    // A free block, now with one reference and no content; nullopt when all are in use.
    std::optional<BlockId> allocate();
    // One more reference to a block that is in use or was found by its hash.
    void retain(BlockId block);
    // The block is free once its last reference went; registered content stays findable.
    void release(BlockId block);

    // The block that holds this content.
    std::optional<BlockId> find(const BlockHash& hash) const;
    // Makes the content of a block in use findable, unless another block holds the same. It must not be
    // written any more.
    void register_content(BlockId block, const BlockHash& hash);

    std::int32_t num_blocks() const { return static_cast<std::int32_t>(blocks_.size()); }
    std::int32_t num_free() const { return num_free_; }
    std::int32_t num_registered() const { return num_registered_; }
    std::int32_t num_references(BlockId block) const { return at(block).references; }
    bool is_registered(BlockId block) const { return at(block).registered; }

    // Throws std::logic_error that says what is wrong unless every block is either free, once, or referenced,
    // and exactly the registered ones can be found.
    void check_integrity() const;

  private:
    static constexpr BlockId none = -1;
    struct Block {
        std::int32_t references = 0;
        BlockId previous = none;  // in the list of free blocks
        BlockId next = none;
        bool registered = false;
        BlockHash hash;
        BlockId next_in_bucket = none;
    };

    Block& at(BlockId block) { return blocks_[static_cast<std::size_t>(block)]; }
    const Block& at(BlockId block) const { return blocks_.at(static_cast<std::size_t>(block)); }
    Block& in_use(BlockId block);
    void link_front(BlockId block);
    void link_back(BlockId block);
    void unlink(BlockId block);
    void forget_content(BlockId block);
    BlockId& bucket_of(const BlockHash& hash) { return buckets_[hash.low & (buckets_.size() - 1)]; }
    const BlockId& bucket_of(const BlockHash& hash) const {
        return buckets_[hash.low & (buckets_.size() - 1)];
    }

    std::vector<Block> blocks_;
    std::vector<BlockId> buckets_;  // power of two; the hash is keyed, so chains stay short for any input
    BlockId first_free_ = none;     // the next to hand out
    BlockId last_free_ = none;      // the most recently used of those with content
    std::int32_t num_free_ = 0;
    std::int32_t num_registered_ = 0;
};

}  // namespace solard
