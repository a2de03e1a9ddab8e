// Paged causal attention with grouped query heads, and the KV cache.
//
// For each layer and KV head, a KV block holds the keys and values of 16 tokens. They are stored as GEMM
// panels, so that the GEMM kernel computes both products:
//   keys    [head_dim][16 tokens]              scores = q K^T,  one panel of depth head_dim
//   values  [head_dim / 16][16 tokens][16]     output = p V,    head_dim / 16 panels of depth 16
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "inference/backend.hpp"
#include "inference/cpu/arena.hpp"
#include "inference/cpu/kernels.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/sizes.hpp"

namespace solard {

struct AttentionShape {
    std::size_t num_layers;
    std::size_t num_heads;
    std::size_t num_kv_heads;
    std::size_t head_dim;
    DType type;  // of keys and values

    std::size_t padded_dim() const { return round_up(head_dim, panel_width); }
    // Returns the number of elements that the keys (or the values) of one block take for one layer and one KV
    // head.
    std::size_t head_block() const { return padded_dim() * kv_block_size; }
    // Returns the number of bytes of one block: the keys and values of all layers and KV heads.
    std::size_t block_bytes() const {
        return 2 * num_layers * num_kv_heads * head_block() * sizeof(std::uint16_t);
    }
};

// The KV cache: two arrays [layers][blocks][kv heads][head_block()], one of keys and one of values.
class KvCache {
  public:
    // Throws std::bad_alloc.
    KvCache(const AttentionShape& shape, std::size_t num_blocks);

    const std::uint16_t* keys(std::size_t layer, std::size_t block, std::size_t head) const;
    const std::uint16_t* values(std::size_t layer, std::size_t block, std::size_t head) const;
    // Stores one token's key and value, [head_dim] each, rounded to the cache's type.
    void store(std::size_t layer, std::size_t slot, std::size_t head, const float* key, const float* value);
    // Copies the block's keys and values in all layers. The two blocks must be different.
    void copy_block(std::size_t source, std::size_t destination);

  private:
    std::size_t offset(std::size_t layer, std::size_t block, std::size_t head) const;

    AttentionShape shape_;
    std::size_t num_blocks_;
    Arena arena_;
    std::span<std::uint16_t> keys_;
    std::span<std::uint16_t> values_;
};

// Attention with the scratch memory and the work list of one backend, both allocated by the constructor.
class Attention {
  public:
    Attention(const AttentionShape& shape, const GemmKernel& kernel, std::size_t max_tokens,
              std::size_t max_context, int num_threads);

    // Divides the batch into work items. Must be called before the first layer of each step.
    void plan(const ForwardBatch& batch);

    // Computes the attention of one layer. q is [tokens, heads * head_dim] with row stride `q_stride`,
    // and must already be rotated. The keys and values of the batch's own tokens must already be in the
    // cache. out is [tokens, heads * head_dim], rounded to the compute type. The result of each (token, head)
    // depends only on its own query and context. The context is read from position 0 on, in blocks of 16.
    void run(ThreadPool& pool, const KvCache& cache, std::size_t layer, const ForwardBatch& batch,
             const float* q, std::size_t q_stride, float* out);

  private:
    // Consecutive tokens of one sequence. They are computed together, so that keys and values are loaded only
    // once for all of them.
    struct Tile {
        std::size_t sequence;
        std::size_t first_token;  // index in the batch
        std::size_t num_tokens;
    };
    // The computation of one tile for one KV head. Each row is one pair (token, query head of the group).
    struct Item;

    void run_item(const Item& item) const;
    // Computes the scores of every row for the first `longest` tokens of the context. `longest` is rounded up
    // to whole blocks.
    void compute_scores(const Item& item, std::size_t longest) const;
    // Adds the first `depth` values of a block, weighted by their scores, to `rows` rows of the output.
    void add_values(const Item& item, std::size_t block, std::size_t first_row, std::size_t rows,
                    std::size_t depth) const;
    void store_output(const Item& item) const;

    AttentionShape shape_;
    GemmKernel kernel_;
    std::size_t tokens_per_tile_;
    std::size_t padded_context_;
    std::vector<Tile> tiles_;
    struct Scratch {
        std::vector<float> queries;  // [rows, head_dim]
        std::vector<float> scores;   // [rows, padded context]
        std::vector<float> output;   // [rows, padded dim]
        std::vector<float> sums;     // [rows]
    };
    std::vector<Scratch> scratch_;  // one per thread
};

}  // namespace solard
