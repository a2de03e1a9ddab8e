// The code that the prefill kernel and the decode kernel share. One warp computes 16 query rows; tiles of
// keys and values lie in shared memory.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>

#include "cuda/half.cuh"
#include "cuda/kernels.hpp"
#include "cuda/ptx.cuh"

namespace solard::cuda {

inline constexpr int warp_rows = 16;   // rows of one mma_m16n8k16
inline constexpr int mma_depth = 16;   // inner dimension of one mma_m16n8k16
inline constexpr int mma_columns = 8;  // columns of one mma_m16n8k16
inline constexpr int attention_threads = 128;
inline constexpr int attention_warps = attention_threads / warp_size;

// Returns the byte offset of a 16-byte piece of a row in shared memory. A row has `head_dim` elements of 16
// bits. Each row stores its pieces in an order of its own, so that ldmatrix, which reads a matrix of eight
// rows, finds the rows in different banks:
//   row 0: 0 1 2 3 4 5 6 7    row 1: 1 0 3 2 5 4 7 6    row 2: 2 3 0 1 6 7 4 5    ...
template <int head_dim>
__device__ inline std::uint32_t shared_offset(int row, int piece) {
    return static_cast<std::uint32_t>(row * head_dim * 2 + (piece ^ (row % 8)) * 16);
}
// Returns the distance in bytes between two rows whose numbers differ by `rows`, a multiple of 8.
template <int head_dim>
__device__ constexpr std::uint32_t rows_offset(int rows) {
    return static_cast<std::uint32_t>(rows * head_dim * 2);
}

// Finds the query to read and the output to write for each row of a tile.
template <class T, int head_dim>
class TileRows {
  public:
    __device__ TileRows(const AttentionArgs& args, const AttentionTile& tile, int kv_head)
        : args_(args),
          tile_(tile),
          group_(args.num_heads / args.kv.num_kv_heads),
          first_head_(kv_head * group_) {}

    __device__ int count() const { return tile_.num_tokens * group_; }
    __device__ int end_key() const { return tile_.first_position + tile_.num_tokens; }
    // Returns the position of the last key that a row attends to. Rows beyond the tile's end attend to the
    // same keys as the tile's last token.
    __device__ int last_key(int row) const {
        const int token = row / group_;
        return tile_.first_position + (token < tile_.num_tokens ? token : tile_.num_tokens - 1);
    }
    __device__ T* output(int row) const {
        return static_cast<T*>(args_.attended) + (token_of(row) * args_.num_heads + head_of(row)) * head_dim;
    }

    // Starts the copy of `num_rows` rows of queries to shared memory. Rows beyond the tile's end become
    // zeros.
    template <int num_rows>
    __device__ void copy_queries(T* shared) const {
        constexpr int pieces = head_dim / vector_width;
        const T* const qkv = static_cast<const T*>(args_.qkv);
        const std::int64_t stride = (args_.num_heads + 2 * args_.kv.num_kv_heads) * head_dim;
        for (int i = static_cast<int>(threadIdx.x); i < num_rows * pieces; i += attention_threads) {
            const int row = i / pieces;
            const int piece = i % pieces;
            const bool exists = row < count();
            const T* const query = exists ? qkv + token_of(row) * stride + head_of(row) * head_dim : qkv;
            copy_async_16(shared, shared_offset<head_dim>(row, piece), query + piece * vector_width, exists);
        }
    }

  private:
    __device__ std::int64_t token_of(int row) const { return tile_.first_token + row / group_; }
    __device__ int head_of(int row) const { return first_head_ + row % group_; }

    const AttentionArgs& args_;
    const AttentionTile& tile_;
    int group_;
    int first_head_;
};

// The keys and values of one sequence and one KV head. They lie in pages, which are the KV blocks of the
// sequence.
template <class T, int head_dim>
class PagedRows {
  public:
    enum Kind : int { keys = 0, values = 1 };

    __device__ PagedRows(const AttentionArgs& args, int sequence, int kv_head)
        : head_(static_cast<const T*>(args.layer_cache) + std::int64_t{kv_head} * kv_block_size * head_dim),
          table_(args.block_tables + std::int64_t{sequence} * args.block_table_stride),
          kind_stride_(std::int64_t{args.kv.num_kv_heads} * kv_block_size * head_dim) {}

    // Starts the copy of positions [first, first + num_rows) to shared memory. All `num_threads` threads must
    // call this, each with its own number `thread`. `first` must be a multiple of the page size. Positions
    // from `end` on become zeros, because their slots may hold anything, even NaN.
    template <int num_rows, int num_threads>
    __device__ void copy(T* shared, Kind kind, int first, int end, int thread) const {
        constexpr int pieces = head_dim / vector_width;
        constexpr int step = num_threads / pieces;  // rows that all threads copy in one pass
        static_assert(num_rows % kv_block_size == 0 && kv_block_size % step == 0);
        const int first_row = thread / pieces;
        const int piece = thread % pieces;
#pragma unroll
        for (int page = 0; page < num_rows; page += kv_block_size) {
            const bool page_exists = first + page < end;
            const T* const source = (page_exists ? page_of(kind, first + page) : head_) +
                                    first_row * head_dim + piece * vector_width;
#pragma unroll
            for (int row = 0; row < kv_block_size; row += step) {
                const bool exists = first + page + first_row + row < end;
                copy_async_16(shared,
                              rows_offset<head_dim>(page + row / 8 * 8) +
                                  shared_offset<head_dim>(first_row + row % 8, piece),
                              source + row * head_dim, exists);
            }
        }
    }

  private:
    __device__ const T* page_of(Kind kind, int position) const {
        const std::int64_t block = table_[position / kv_block_size];
        return head_ + (2 * block + kind) * kind_stride_;
    }

    const T* head_;
    const std::int32_t* table_;
    std::int64_t kind_stride_;
};

// The 16 queries of a warp, as the operands `a` of its mma instructions.
template <int head_dim>
using QueryFragments = std::uint32_t[head_dim / mma_depth][4];

template <class T, int head_dim>
__device__ inline void load_queries(QueryFragments<head_dim>& fragments, const T* shared, int first_row) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int row = first_row + lane % 16;
#pragma unroll
    for (int k = 0; k < head_dim / mma_depth; ++k) {
        load_matrix_x4(fragments[k], shared, shared_offset<head_dim>(row, 2 * k + lane / 16));
    }
}

// Computes scores[16, num_keys] = queries * keys^T. Each array of four holds the scores of eight keys, in the
// lane layout of the result d of mma_m16n8k16.
template <class T, int head_dim, int num_keys>
__device__ inline void score(float (&scores)[num_keys / mma_columns][4],
                             const QueryFragments<head_dim>& queries, const T* shared_keys) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int key = lane % 8 + lane / 16 * 8;
#pragma unroll
    for (int n = 0; n < num_keys / mma_columns; n += 2) {
#pragma unroll
        for (int i = 0; i < 4; ++i) scores[n][i] = scores[n + 1][i] = 0;
#pragma unroll
        for (int k = 0; k < head_dim / mma_depth; ++k) {
            std::uint32_t r[4];
            load_matrix_x4(
                r, shared_keys,
                rows_offset<head_dim>(n * mma_columns) + shared_offset<head_dim>(key, 2 * k + lane / 8 % 2));
            mma_m16n8k16<T>(scores[n], queries[k], {r[0], r[1]});
            mma_m16n8k16<T>(scores[n + 1], queries[k], {r[2], r[3]});
        }
    }
}

// The softmax over keys that arrive tile by tile, and the weighted sum of their values. A lane holds its part
// of two rows of the warp, lane / 4 and lane / 4 + 8. Weights are relative: the key with the largest score so
// far has weight 1. Source: Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm
// 3.
template <class T, int head_dim>
struct OnlineSoftmax {
    float output[head_dim / mma_columns][4] = {};  // weighted sum of values, in the lane layout of mma's d
    float largest[2] = {-INFINITY, -INFINITY};     // largest score so far, as an exponent of two
    float sum[2] = {};  // sum of the weights; before finish(), only over this lane's keys

    // log2(e) / sqrt(head_dim), the factor that turns a score into an exponent of two.
    static constexpr float scale =
        static_cast<float>(std::numbers::log2e) / (head_dim == 64 ? 8.0F : 11.3137085F);

    // Turns the scores of the next tile into weights, and rescales the sums of the earlier tiles. A score
    // must be -infinity if the row does not attend to the key.
    template <int num_tiles>
    __device__ void weigh(float (&scores)[num_tiles][4]) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            float tile_largest = -INFINITY;
#pragma unroll
            for (int n = 0; n < num_tiles; ++n) {
                tile_largest = fmaxf(tile_largest, fmaxf(scores[n][2 * r], scores[n][2 * r + 1]));
            }
            tile_largest = fmaxf(tile_largest, shuffle_xor(tile_largest, 1));
            tile_largest = fmaxf(tile_largest, shuffle_xor(tile_largest, 2));
            const float next = fmaxf(largest[r], tile_largest * scale);
            // If a row has not attended to any key yet, `next` is -infinity. Subtracting `next` from scores
            // of -infinity would give NaN.
            const float reference = next == -INFINITY ? 0 : next;
            const float rescale = exp2_approx(largest[r] - reference);
            largest[r] = next;
            sum[r] *= rescale;
#pragma unroll
            for (int n = 0; n < num_tiles; ++n) {
#pragma unroll
                for (int i = 2 * r; i < 2 * r + 2; ++i) {
                    scores[n][i] = exp2_approx(scores[n][i] * scale - reference);
                    sum[r] += scores[n][i];
                }
            }
#pragma unroll
            for (int n = 0; n < head_dim / mma_columns; ++n) {
                output[n][2 * r] *= rescale;
                output[n][2 * r + 1] *= rescale;
            }
        }
    }

    // Computes output += weights[16, keys] values[keys, head_dim], with the weights rounded to T.
    template <int num_tiles>
    __device__ void accumulate(const float (&weights)[num_tiles][4], const T* shared_values) {
        const int lane = static_cast<int>(threadIdx.x) % warp_size;
#pragma unroll
        for (int k = 0; k < num_tiles / 2; ++k) {
            const float(&left)[4] = weights[2 * k];
            const float(&right)[4] = weights[2 * k + 1];
            const std::uint32_t a[4] = {pack<T>(left[0], left[1]), pack<T>(left[2], left[3]),
                                        pack<T>(right[0], right[1]), pack<T>(right[2], right[3])};
#pragma unroll
            for (int n = 0; n < head_dim / mma_columns; n += 2) {
                std::uint32_t r[4];
                load_matrix_x4_transposed(
                    r, shared_values,
                    rows_offset<head_dim>(k * mma_depth) + shared_offset<head_dim>(lane % 16, n + lane / 16));
                mma_m16n8k16<T>(output[n], a, {r[0], r[1]});
                mma_m16n8k16<T>(output[n + 1], a, {r[2], r[3]});
            }
        }
    }

    // Completes `sum` after the last tile: every lane receives the sums of its rows over all keys.
    __device__ void finish() {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            sum[r] += shuffle_xor(sum[r], 1);
            sum[r] += shuffle_xor(sum[r], 2);
        }
    }
};

// Sets a score to -infinity if the row does not attend to the key. `first_key` is the position of the tile's
// first key, and `last_keys` are the positions of the last keys that the lane's two rows attend to.
template <int num_tiles>
__device__ inline void mask(float (&scores)[num_tiles][4], int first_key, const int (&last_keys)[2]) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
#pragma unroll
    for (int n = 0; n < num_tiles; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int key = first_key + n * mma_columns + lane % 4 * 2 + i % 2;
            if (key > last_keys[i / 2]) scores[n][i] = -INFINITY;
        }
    }
}

// A head_dim as a type, so that a lambda can take it as a template argument.
template <int value>
struct HeadDim {
    static constexpr int size = value;
};

// Calls function(HeadDim<head_dim>{}). The kernels exist for 64 and 128.
template <class Function>
void with_head_dim(std::int32_t head_dim, const Function& function) {
    switch (head_dim) {
        case 64:
            return function(HeadDim<64>{});
        case 128:
            return function(HeadDim<128>{});
        default:
            throw std::logic_error("head_dim must be 64 or 128");
    }
}

}  // namespace solard::cuda
