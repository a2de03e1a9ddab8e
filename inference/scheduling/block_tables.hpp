// The KV blocks of the sequences: their block tables, the pool behind them and the prefix cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inference/request.hpp"
#include "inference/scheduling/block_pool.hpp"
#include "inference/scheduling/sequence.hpp"

namespace solard {

// Returns how many more blocks the sequence and its other choices need for all known tokens, plus one block
// of new tokens for each choice. If fewer blocks were free at its admission, the sequence would soon be
// preempted.
std::int32_t blocks_ahead(const Sequence& sequence);

// Allocates, shares and releases the blocks in Sequence::block_table, and charges them to the principal.
class BlockTables {
  public:
    // The part of a sequence's beginning that is in the prefix cache.
    struct CachedPrefix {
        std::int32_t num_blocks = 0;
        std::int32_t num_blocks_in_use = 0;  // number of these blocks that are not free
    };

    // `hash_key` is the key of the hashes that name the contents of blocks. Without a key, there is no prefix
    // cache.
    BlockTables(std::int32_t num_blocks, std::int32_t max_running, const std::optional<HashKey>& hash_key);

    const BlockPool& pool() const { return pool_; }
    // Returns the blocks that were released but become free only in end_step().
    std::span<const BlockId> quarantine() const { return quarantine_; }
    void fill_snapshot(EngineSnapshot& snapshot) const;

    // Returns how many more tokens the sequence can schedule in blocks that it holds or that are free.
    std::int32_t capacity_for(const Sequence& sequence) const;
    // Allocates blocks for all scheduled tokens. If the step writes to a block to which other sequences
    // refer, the sequence first gets a copy of that block.
    void grow(Sequence& sequence);
    // Releases the blocks after the last computed token, which were allocated for drafts that were wrong.
    void trim(Sequence& sequence);
    // Releases all blocks of the sequence.
    void release_all(Sequence& sequence);

    // Looks up the beginning of a waiting sequence in the prefix cache. The last known token is never taken
    // from the cache, because its logits are needed. A sequence whose prompt must be scored gets nothing from
    // the cache, because the logits of its whole prompt are needed.
    CachedPrefix find_cached(Sequence& sequence);
    // Gives a sequence without blocks the first `num_blocks` of the blocks that find_cached() found.
    void take_cached(Sequence& sequence, std::int32_t num_blocks);
    // Registers all completely computed blocks of the sequence in the prefix cache.
    void register_blocks(Sequence& sequence);
    // Makes `fork`, another choice of the request, refer to the blocks of `leader`, its first choice.
    void share(const Sequence& leader, Sequence& fork);

    // Begins a step: until end_step(), the device may touch every block that is in use now.
    void begin_flight() { in_flight_ = true; }
    // Ends the step and frees the blocks in the quarantine.
    void end_step();

  private:
    bool writes_shared_block(const Sequence& sequence) const;
    BlockId allocate();
    void release(BlockId block);

    BlockPool pool_;
    std::optional<HashKey> hash_key_;
    bool in_flight_ = false;
    std::vector<BlockId> copy_sources_;  // of this step
    std::vector<BlockId> quarantine_;
    std::uint64_t num_queries_ = 0;  // prompt tokens that were looked up in the prefix cache
    std::uint64_t num_hits_ = 0;     // prompt tokens that were found in the prefix cache
};

}  // namespace solard
