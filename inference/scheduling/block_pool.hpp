// Counts the references to each KV block and registers the hash of its content. The pool knows the
// blocks by their ids only and never touches KV memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "inference/scheduling/block_hash.hpp"
#include "inference/sizes.hpp"

namespace solard {

using BlockId = std::int32_t;

// A block is free if it has no references. A block whose content is registered can be found by its hash, even
// while the block is free. Until the block is allocated again, a sequence can use its content by taking a
// reference (prefix cache). Free blocks without content are allocated first, then the least recently used
// ones.
//
// Only the engine thread may use the pool. The constructor reserves all memory. Misuse (an id that is not in
// use) throws std::logic_error, because a block with two owners would leak one client's text to another
// client.
class BlockPool {
  public:
    explicit BlockPool(std::int32_t num_blocks);

    // Takes a free block, which then has one reference and no content. Returns nullopt if all blocks are in
    // use.
    std::optional<BlockId> allocate();
    // Adds a reference to a block that is in use or was found by its hash.
    void retain(BlockId block);
    // Removes a reference. A block without references is free; its registered content can still be found.
    void release(BlockId block);

    // Returns the block whose registered content has this hash, or nullopt.
    std::optional<BlockId> find(const BlockHash& hash) const;
    // Registers the content of a block in use, unless another block is registered with the same content.
    // After this call, the block must not be written until it is allocated again.
    void register_content(BlockId block, const BlockHash& hash);

    std::int32_t num_blocks() const { return static_cast<std::int32_t>(blocks_.size()); }
    std::int32_t num_free() const { return num_free_; }
    std::int32_t num_registered() const { return num_registered_; }
    std::int32_t num_references(BlockId block) const { return at(block).references; }
    bool is_registered(BlockId block) const { return at(block).registered; }

    // Checks that each block is either referenced or exactly once in the list of free blocks, and that each
    // registered block can be found. If a check fails, throws std::logic_error with a message that names the
    // fault.
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

    Block& at(BlockId block) { return blocks_[count_of(block)]; }
    const Block& at(BlockId block) const { return blocks_.at(count_of(block)); }
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
    std::vector<BlockId> buckets_;  // [power of two]; the hash is keyed, so no input makes long chains
    BlockId first_free_ = none;     // the next block to allocate
    BlockId last_free_ = none;      // the most recently used of the free blocks with content
    std::int32_t num_free_ = 0;
    std::int32_t num_registered_ = 0;
};

}  // namespace solard
