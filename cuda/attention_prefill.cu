// Attention for prompts. A tile has 64 query rows, and its thread block reads all the keys of the tile.
#include "cuda/attention.cuh"
#include "cuda/compute_type.cuh"
#include "cuda/launch.cuh"

namespace solard::cuda {
namespace {

constexpr int tile_keys = 64;

template <class T, int head_dim>
constexpr std::size_t shared_bytes = std::size_t{2} * tile_keys * head_dim * sizeof(T);  // keys and values

// One thread block per (tile, KV head). Each of its four warps computes 16 rows. Shared memory holds one tile
// of keys and one tile of values; each is loaded while the other is used:
//
//   keys    | wait | scores      | load next ...........
//   values  | load ............. | softmax | wait | output
//
// With head_dim 128, a thread takes at most 215 registers. Two blocks can therefore run on a multiprocessor
// at the same time, and one block computes while the other waits.
template <class T, int head_dim>
__global__ void __launch_bounds__(attention_threads) prefill_kernel(AttentionArgs args) {
    static_assert(prefill_tile_rows == attention_warps * warp_rows);
    // Two blocks fit in the 100 KB of shared memory of a multiprocessor of sm_89; each takes 1 KB more than
    // it asks for.
    static_assert(2 * (shared_bytes<T, head_dim> + 1024) <= 100 * 1024);
    T* const keys = dynamic_shared<T>();            // [tile_keys, head_dim]
    T* const values = keys + tile_keys * head_dim;  // [tile_keys, head_dim]; holds the queries at first
    const AttentionTile tile = args.tiles[blockIdx.x];
    const int kv_head = static_cast<int>(blockIdx.y);
    const int thread = static_cast<int>(threadIdx.x);
    const int lane = thread % warp_size;
    const int first_row = thread / warp_size * warp_rows;
    const TileRows<T, head_dim> rows(args, tile, kv_head);
    using Pages = PagedRows<T, head_dim>;
    const Pages pages(args, tile.sequence, kv_head);
    const int end = rows.end_key();

    rows.template copy_queries<prefill_tile_rows>(values);
    copy_async_commit();
    pages.template copy<tile_keys, attention_threads>(keys, Pages::keys, 0, end, thread);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    QueryFragments<head_dim> queries;
    load_queries<T, head_dim>(queries, values, first_row);

    const int last_keys[2] = {rows.last_key(first_row + lane / 4), rows.last_key(first_row + lane / 4 + 8)};
    OnlineSoftmax<T, head_dim> softmax;
    for (int key = 0; key < end; key += tile_keys) {
        copy_async_wait<0>();
        __syncthreads();  // the keys have arrived, and no thread reads the previous values any more
        pages.template copy<tile_keys, attention_threads>(values, Pages::values, key, end, thread);
        copy_async_commit();
        float scores[tile_keys / mma_columns][4];
        score<T, head_dim, tile_keys>(scores, queries, keys);
        __syncthreads();  // no thread reads the keys any more
        if (key + tile_keys < end) {
            pages.template copy<tile_keys, attention_threads>(keys, Pages::keys, key + tile_keys, end,
                                                              thread);
        }
        copy_async_commit();
        mask(scores, key, last_keys);
        softmax.weigh(scores);
        copy_async_wait<1>();
        __syncthreads();  // the values have arrived
        softmax.accumulate(scores, values);
    }
    softmax.finish();

#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const int row = first_row + lane / 4 + 8 * r;
        if (row >= rows.count()) continue;
        T* const out = rows.output(row) + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < head_dim / mma_columns; ++n) {
            *reinterpret_cast<std::uint32_t*>(out + n * mma_columns) = pack<T>(
                softmax.output[n][2 * r] / softmax.sum[r], softmax.output[n][2 * r + 1] / softmax.sum[r]);
        }
    }
}

}  // namespace

void prefill_attention(DType type, const AttentionArgs& args, cudaStream_t stream) {
    if (args.num_tiles == 0) return;
    with_compute_type(type, [&]<class T>(T) {
        with_head_dim(args.kv.head_dim, [&]<int head_dim>(HeadDim<head_dim>) {
            const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_tiles),
                                                 static_cast<unsigned>(args.kv.num_kv_heads)),
                                    .block = dim3(attention_threads),
                                    .dynamic_shared_bytes = shared_bytes<T, head_dim>};
            launch<prefill_kernel<T, head_dim>>(shape, stream, args);
        });
    });
}

}  // namespace solard::cuda
