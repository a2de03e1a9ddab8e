// Every kernel of the forward pass, with its arguments, their shapes, its formula and its launcher.
//
// A launcher only enqueues on `stream`; it throws DeviceError if the launch is refused. All pointers point to
// device memory. `void` arrays hold elements of `type`, the compute type: bf16 or fp16. Arrays are row-major
// and have no gaps, except if a stride (in elements) is given. Sums, norms and softmax are fp32. Rows are
// independent: the result of a row does not depend on the number of rows.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/backend.hpp"
#include "inference/model/config.hpp"

namespace solard::cuda {

// hidden_size, intermediate_size and head_dim must be multiples of this number, so that one access can read
// 16 bytes.
inline constexpr std::int32_t size_granularity = 8;
// A row of this many floats fits in the shared memory of one block on every card of sm_89 and later.
inline constexpr std::int32_t max_hidden_size = 24576;

// residual[t, :] = table[token_ids[t], :]
struct EmbeddingArgs {
    const void* table;              // [vocab, hidden]
    const std::int32_t* token_ids;  // [num_tokens]
    float* residual;                // [num_tokens, hidden]
    std::int32_t num_tokens;
    std::int32_t hidden;
};
void embed(DType type, const EmbeddingArgs& args, cudaStream_t stream);

// x = residual[t, :] + projected[t, :];  normed[i, :] = x / sqrt(mean(x^2) + eps) * weight
// If `rows` is null, i = t and x becomes the new residual. Otherwise t = rows[i] and the residual stays as it
// is; `rows` selects the rows whose logits are wanted. Source: Zhang, Sennrich, "Root mean square layer
// normalization", NeurIPS 2019, equation 4.
struct AddRmsNormArgs {
    float* residual;           // [tokens, hidden]
    const void* projected;     // [tokens, hidden]; if null, nothing is added
    const std::int32_t* rows;  // [num_rows], or null
    const void* weight;        // [hidden]
    void* normed;              // [num_rows, hidden]
    std::int32_t num_rows;
    std::int32_t hidden;  // <= max_hidden_size
    float eps;
};
void add_rms_norm(DType type, const AddRmsNormArgs& args, cudaStream_t stream);

// The KV cache of one layer has the shape [num_blocks, 2 (keys, values), num_kv_heads, kv_block_size,
// head_dim].
struct KvShape {
    std::int32_t num_kv_heads;
    std::int32_t head_dim;  // 64 or 128
    constexpr std::int64_t block_elements() const {
        return std::int64_t{2} * num_kv_heads * kv_block_size * head_dim;
    }
};

// With (c, s) = rope[position, i] and d = head_dim: (x[i], x[i + d/2]) becomes
// (c x[i] - s x[i + d/2], c x[i + d/2] + s x[i]). Query heads are rotated in place. Key heads are rotated on
// their way into the cache, and values are stored unchanged. Source: Su et al., "RoFormer", 2021, equation
// 34. The two halves of a head are paired as in Hugging Face's modeling_llama.
struct RopeAppendArgs {
    void* qkv;                         // [num_tokens, (num_heads + 2 num_kv_heads) * head_dim]
    const float2* rope;                // [positions, head_dim / 2]: cosine and sine
    const std::int32_t* positions;     // [num_tokens]
    const std::int32_t* slot_mapping;  // [num_tokens]
    void* layer_cache;                 // the cache of one layer, see KvShape
    KvShape kv;
    std::int32_t num_heads;
    std::int32_t num_tokens;
};
void rope_append(DType type, const RopeAppendArgs& args, cudaStream_t stream);

// Copies whole blocks in all layers, before any other kernel of the step writes to the cache.
struct CopyBlocksArgs {
    void* cache;              // [num_layers, num_blocks, block]
    const BlockCopy* copies;  // [num_copies]; no block is both a source and a destination
    std::int32_t num_copies;
    std::int32_t num_layers;
    std::int64_t num_blocks;
    std::int64_t block_bytes;  // size of one block in one layer, a multiple of 16
};
void copy_blocks(const CopyBlocksArgs& args, cudaStream_t stream);

// Attention works on tiles. A tile has one row per (new token, query head). Its tokens are consecutive in one
// sequence, and its query heads are those that share one KV head. With group = num_heads /
// num_kv_heads, row r is token first_token + r / group and query head kv_head * group + r % group.
struct AttentionTile {
    std::int32_t sequence;        // row of block_tables
    std::int32_t first_token;     // row of qkv
    std::int32_t num_tokens;      // num_tokens * group must be at most the tile's number of rows
    std::int32_t first_position;  // position of first_token in its sequence
};
inline constexpr std::int32_t prefill_tile_rows = 64;
inline constexpr std::int32_t decode_tile_rows = 16;

// attended[t, h, :] = sum_j softmax_j(q[t, h, :] k[j, h / group, :] / sqrt(head_dim)) v[j, h / group, :]
// The sum and the softmax run over all j <= the position of t.
// Source: Dao, "FlashAttention-2", 2023, algorithm 1.
struct AttentionArgs {
    const void* qkv;                   // [tokens, (num_heads + 2 num_kv_heads) * head_dim], rotated
    const void* layer_cache;           // cache of one layer (KvShape); must already hold the new tokens
    const std::int32_t* block_tables;  // [num_seqs, block_table_stride]
    void* attended;                    // [tokens, num_heads * head_dim]
    const AttentionTile* tiles;        // [num_tiles]
    std::int32_t num_tiles;
    std::int32_t block_table_stride;
    std::int32_t num_heads;  // a multiple of num_kv_heads, at most prefill_tile_rows * num_kv_heads
    KvShape kv;
};

// Works on tiles of 64 rows. For each tile, all its keys are read in tiles of 64, from position 0 on. A row's
// result therefore depends only on its own query and keys, not on how the prompt was divided into chunks.
void prefill_attention(DType type, const AttentionArgs& args, cudaStream_t stream);

// Works on tiles of 16 rows. The keys of a tile are divided into splits of decode_split_keys keys, so that
// even one sequence occupies the whole device. A second kernel combines the results of the splits.
inline constexpr std::int32_t decode_split_keys = 256;
struct DecodeSplit {
    std::int32_t tile;
    std::int32_t first_key;  // a multiple of decode_split_keys
};
struct DecodeAttentionArgs {
    AttentionArgs attention;
    const DecodeSplit* splits;        // [num_splits]; the splits of a tile are adjacent and in order
    const std::int32_t* first_split;  // [num_tiles + 1], indices into splits
    // Scratch memory: outputs that are not normalised yet and, for each row, the largest score (as an
    // exponent of two) and the sum of the weights.
    float* partial_outputs;  // [num_splits, num_kv_heads, decode_tile_rows, head_dim]
    float2* partial_states;  // [num_splits, num_kv_heads, decode_tile_rows]
    std::int32_t num_splits;
};
void decode_attention(DType type, const DecodeAttentionArgs& args, cudaStream_t stream);

// activated[t, i] = silu(gate_up[t, i]) * gate_up[t, intermediate + i],  silu(x) = x / (1 + e^-x)
// Source: Shazeer, "GLU variants improve Transformer", 2020, equation 6.
struct SwigluArgs {
    const void* gate_up;  // [num_tokens, 2 * intermediate]
    void* activated;      // [num_tokens, intermediate]
    std::int32_t num_tokens;
    std::int32_t intermediate;
};
void swiglu(DType type, const SwigluArgs& args, cudaStream_t stream);

// out[i] = in[i] in another type, rounded to nearest even. Both arrays must be aligned to 16 bytes.
struct ConvertArgs {
    const void* in;  // [count], of type `from`
    void* out;       // [count], of type `to`
    std::int64_t count;
    DType from;
    DType to;
};
void convert(const ConvertArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
