// Divides a batch's attention into the tiles and splits that the kernels work on. Runs on the host and makes
// no device calls.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/kernels.hpp"
#include "inference/backend.hpp"

namespace solard::cuda {

// Holds the plan of one step. The constructor reserves all memory.
class AttentionPlan {
  public:
    // `group` is the number of query heads that share a KV head. If `one_kernel` is true, every row goes to
    // the prefill kernel, so that the bits of a token's result do not depend on how many new tokens its
    // sequence has.
    AttentionPlan(std::int32_t group, std::int32_t max_tokens, std::int32_t max_seqs,
                  std::int32_t max_model_len, bool one_kernel);

    // Plans one step. If the new tokens of a sequence fit in one tile of 16 rows, the decode kernel computes
    // them. Otherwise, or if `one_kernel` is true, the prefill kernel computes them. The spans below are
    // valid until the next call of make().
    void make(const ForwardBatch& batch);

    // The tiles with the most keys come first, so that the thread blocks that start last have little work.
    std::span<const AttentionTile> prefill_tiles() const { return prefill_tiles_; }
    std::span<const AttentionTile> decode_tiles() const { return decode_tiles_; }
    std::span<const DecodeSplit> splits() const { return splits_; }
    std::span<const std::int32_t> first_split() const { return first_split_; }  // [decode_tiles + 1]

    std::size_t max_prefill_tiles() const { return prefill_tiles_.capacity(); }
    std::size_t max_decode_tiles() const { return decode_tiles_.capacity(); }
    std::size_t max_splits() const { return splits_.capacity(); }

  private:
    void add_decode(const AttentionTile& tile);
    void add_prefill(AttentionTile tile);

    std::int32_t group_;
    bool one_kernel_;
    std::vector<AttentionTile> prefill_tiles_;
    std::vector<AttentionTile> decode_tiles_;
    std::vector<DecodeSplit> splits_;
    std::vector<std::int32_t> first_split_;
};

}  // namespace solard::cuda
