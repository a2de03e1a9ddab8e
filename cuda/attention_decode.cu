// Attention for decoding. A tile has few query rows and many keys. The keys are divided between many thread
// blocks, so that the whole device is in use.
#include "cuda/attention.cuh"
#include "cuda/compute_type.cuh"
#include "cuda/launch.cuh"

namespace solard::cuda {
namespace {

constexpr int tile_keys = 32;
constexpr int warp_keys = decode_split_keys / attention_warps;

// The shared memory of one block.
template <class T, int head_dim>
struct DecodeShared {
    static constexpr int warp_elements = 2 * tile_keys * head_dim;  // keys and values
    static constexpr std::size_t bytes =
        (decode_tile_rows * head_dim + attention_warps * warp_elements) * sizeof(T) +
        attention_warps * decode_tile_rows * sizeof(float2);
    // A warp's outputs overwrite its keys and values.
    static_assert(decode_tile_rows * head_dim * sizeof(float) <= warp_elements * sizeof(T));
    // A multiprocessor of sm_89 has 100 KB of shared memory, and each block takes 1 KB more than it asks
    // for. Two blocks fit if head_dim is 64, else one.
    static_assert((bytes + 1024) * (head_dim == 64 ? 2 : 1) <= 100 * 1024);

    __device__ static T* queries() { return dynamic_shared<T>(); }
    __device__ static T* keys(int warp) {
        return queries() + decode_tile_rows * head_dim + warp * warp_elements;
    }
    __device__ static T* values(int warp) { return keys(warp) + tile_keys * head_dim; }
    // [decode_tile_rows, head_dim]
    __device__ static float* output(int warp) { return reinterpret_cast<float*>(keys(warp)); }
    // [decode_tile_rows]: the largest score and the sum of the weights of each row
    __device__ static float2* states(int warp) {
        return reinterpret_cast<float2*>(keys(attention_warps)) + warp * decode_tile_rows;
    }
};

// Merges the softmax states of several parts of the keys. Call see() for every part first, to find the
// largest score. After that, weight() returns the factor by which a part's sums are multiplied. For a part
// without keys, this factor is 0.
struct Merge {
    float largest = -INFINITY;
    __device__ void see(const float2& state) { largest = fmaxf(largest, state.x); }
    __device__ float weight(const float2& state) const {
        return state.x == -INFINITY ? 0 : exp2_approx(state.x - largest);
    }
};

// Processes the warp's part of the split's keys tile by tile. Each warp copies its own keys and values, so
// that no barrier for the whole block is needed.
template <class T, int head_dim>
__device__ void attend(OnlineSoftmax<T, head_dim>& softmax, const QueryFragments<head_dim>& queries,
                       const PagedRows<T, head_dim>& pages, int begin, int end, const int (&last_keys)[2]) {
    using Shared = DecodeShared<T, head_dim>;
    using Pages = PagedRows<T, head_dim>;
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int warp = static_cast<int>(threadIdx.x) / warp_size;
    T* const keys = Shared::keys(warp);
    T* const values = Shared::values(warp);
    for (int key = begin; key < end; key += tile_keys) {
        copy_async_wait<0>();
        sync_warp();  // the keys have arrived, and no lane reads the previous values any more
        pages.template copy<tile_keys, warp_size>(values, Pages::values, key, end, lane);
        copy_async_commit();
        float scores[tile_keys / mma_columns][4];
        score<T, head_dim, tile_keys>(scores, queries, keys);
        sync_warp();  // no lane reads the keys any more
        if (key + tile_keys < end) {
            pages.template copy<tile_keys, warp_size>(keys, Pages::keys, key + tile_keys, end, lane);
        }
        copy_async_commit();
        mask(scores, key, last_keys);
        softmax.weigh(scores);
        copy_async_wait<1>();
        sync_warp();  // the values have arrived
        softmax.accumulate(scores, values);
    }
    softmax.finish();
}

// Merges the warps' outputs in order and writes the result to the split's place in the scratch memory.
template <class T, int head_dim>
__device__ void store_partial(const DecodeAttentionArgs& args, int num_rows) {
    using Shared = DecodeShared<T, head_dim>;
    const std::int64_t part = std::int64_t{blockIdx.x} * args.attention.kv.num_kv_heads + blockIdx.y;
    for (int i = static_cast<int>(threadIdx.x); i < num_rows * head_dim; i += attention_threads) {
        const int row = i / head_dim;
        Merge merge;
        for (int warp = 0; warp < attention_warps; ++warp) merge.see(Shared::states(warp)[row]);
        float output = 0;
        float sum = 0;
        for (int warp = 0; warp < attention_warps; ++warp) {
            const float2 state = Shared::states(warp)[row];
            const float weight = merge.weight(state);
            output += weight * Shared::output(warp)[i];
            sum += weight * state.y;
        }
        args.partial_outputs[part * decode_tile_rows * head_dim + i] = output;
        if (i % head_dim == 0) args.partial_states[part * decode_tile_rows + row] = {merge.largest, sum};
    }
}

// One thread block per (split, KV head). Each of its four warps handles a quarter of the split's keys.
template <class T, int head_dim>
__global__ void __launch_bounds__(attention_threads) decode_kernel(DecodeAttentionArgs args) {
    static_assert(decode_tile_rows == warp_rows);
    using Shared = DecodeShared<T, head_dim>;
    using Pages = PagedRows<T, head_dim>;
    const DecodeSplit split = args.splits[blockIdx.x];
    const AttentionTile tile = args.attention.tiles[split.tile];
    const int kv_head = static_cast<int>(blockIdx.y);
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int warp = static_cast<int>(threadIdx.x) / warp_size;
    const TileRows<T, head_dim> rows(args.attention, tile, kv_head);
    const Pages pages(args.attention, tile.sequence, kv_head);
    const int begin = split.first_key + warp * warp_keys;
    const int end = min(begin + warp_keys, rows.end_key());

    rows.template copy_queries<decode_tile_rows>(Shared::queries());
    copy_async_commit();
    pages.template copy<tile_keys, warp_size>(Shared::keys(warp), Pages::keys, begin, end, lane);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    QueryFragments<head_dim> queries;
    load_queries<T, head_dim>(queries, Shared::queries(), 0);
    OnlineSoftmax<T, head_dim> softmax;
    attend(softmax, queries, pages, begin, end, {rows.last_key(lane / 4), rows.last_key(lane / 4 + 8)});

    copy_async_wait<0>();  // if a warp has no keys, attend() has not waited for the copies
    sync_warp();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const int row = lane / 4 + 8 * r;
        if (lane % 4 == 0) Shared::states(warp)[row] = {softmax.largest[r], softmax.sum[r]};
        float* const out = Shared::output(warp) + row * head_dim + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < head_dim / mma_columns; ++n) {
            out[n * mma_columns] = softmax.output[n][2 * r];
            out[n * mma_columns + 1] = softmax.output[n][2 * r + 1];
        }
    }
    __syncthreads();
    store_partial<T, head_dim>(args, rows.count());
}

// One thread block per (tile, KV head) merges the tile's splits in order.
template <class T, int head_dim>
__global__ void __launch_bounds__(attention_threads) combine_kernel(DecodeAttentionArgs args) {
    const int kv_head = static_cast<int>(blockIdx.y);
    const AttentionTile tile = args.attention.tiles[blockIdx.x];
    const TileRows<T, head_dim> rows(args.attention, tile, kv_head);
    const int begin = args.first_split[blockIdx.x];
    const int end = args.first_split[blockIdx.x + 1];
    const auto state_of = [&](int split, int row) {
        return args.partial_states[(std::int64_t{split} * args.attention.kv.num_kv_heads + kv_head) *
                                       decode_tile_rows +
                                   row];
    };
    for (int i = static_cast<int>(threadIdx.x); i < rows.count() * head_dim; i += attention_threads) {
        const int row = i / head_dim;
        Merge merge;
        for (int split = begin; split < end; ++split) merge.see(state_of(split, row));
        float output = 0;
        float sum = 0;
        for (int split = begin; split < end; ++split) {
            const float2 state = state_of(split, row);
            const float weight = merge.weight(state);
            const std::int64_t part = std::int64_t{split} * args.attention.kv.num_kv_heads + kv_head;
            output += weight * args.partial_outputs[part * decode_tile_rows * head_dim + i];
            sum += weight * state.y;
        }
        rows.output(row)[i % head_dim] = from_float<T>(output / sum);
    }
}

}  // namespace

void decode_attention(DType type, const DecodeAttentionArgs& args, cudaStream_t stream) {
    if (args.num_splits == 0) return;
    const auto num_kv_heads = static_cast<unsigned>(args.attention.kv.num_kv_heads);
    with_compute_type(type, [&]<class T>(T) {
        with_head_dim(args.attention.kv.head_dim, [&]<int head_dim>(HeadDim<head_dim>) {
            const LaunchShape splits{.grid = dim3(static_cast<unsigned>(args.num_splits), num_kv_heads),
                                     .block = dim3(attention_threads),
                                     .dynamic_shared_bytes = DecodeShared<T, head_dim>::bytes};
            launch<decode_kernel<T, head_dim>>(splits, stream, args);
            const LaunchShape tiles{
                .grid = dim3(static_cast<unsigned>(args.attention.num_tiles), num_kv_heads),
                .block = dim3(attention_threads)};
            launch<combine_kernel<T, head_dim>>(tiles, stream, args);
        });
    });
}

}  // namespace solard::cuda
