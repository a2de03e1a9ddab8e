// The kernels that write to the paged cache: keys and values of new tokens, and copies of whole blocks.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 256;

// Rotates eight pairs (x[i], x[i + head_dim / 2]) of one head. `from` and `to` may be the same.
template <class T>
__device__ void rotate(const T* from, T* to, const float2* rope, int i, int half) {
    float low[vector_width];
    float high[vector_width];
    load(from + i, low);
    load(from + i + half, high);
    for (int j = 0; j < vector_width; ++j) {
        const float2 angle = rope[i + j];
        const float rotated = angle.x * low[j] - angle.y * high[j];
        high[j] = angle.x * high[j] + angle.y * low[j];
        low[j] = rotated;
    }
    store(low, to + i);
    store(high, to + i + half);
}

// One thread block per token. Its threads share the work on the token's heads, in pieces of eight pairs.
template <class T>
__global__ void __launch_bounds__(num_threads) rope_append_kernel(RopeAppendArgs args) {
    const int token = static_cast<int>(blockIdx.x);
    const int head_dim = args.kv.head_dim;
    const int half = head_dim / 2;
    const int num_kv_heads = args.kv.num_kv_heads;
    const int num_heads = args.num_heads + 2 * num_kv_heads;
    const int pieces = half / vector_width;
    const float2* const rope = args.rope + std::int64_t{args.positions[token]} * half;
    const int slot = args.slot_mapping[token];
    T* const qkv = static_cast<T*>(args.qkv) + std::int64_t{token} * num_heads * head_dim;
    T* const block = static_cast<T*>(args.layer_cache) + slot / kv_block_size * args.kv.block_elements();
    const auto cache_row = [&](int kind_and_head) {
        return block + (kind_and_head * kv_block_size + slot % kv_block_size) * head_dim;
    };
    for (int work = static_cast<int>(threadIdx.x); work < num_heads * pieces; work += num_threads) {
        const int head = work / pieces;
        const int i = work % pieces * vector_width;
        T* const x = qkv + head * head_dim;
        if (head < args.num_heads) {
            rotate(x, x, rope, i, half);
        } else if (head < args.num_heads + num_kv_heads) {
            rotate(x, cache_row(head - args.num_heads), rope, i, half);
        } else {
            T* const to = cache_row(head - args.num_heads);
            *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(x + i);
            *reinterpret_cast<uint4*>(to + i + half) = *reinterpret_cast<const uint4*>(x + i + half);
        }
    }
}

// One thread block per (copy, layer).
__global__ void __launch_bounds__(num_threads) copy_blocks_kernel(CopyBlocksArgs args) {
    const BlockCopy copy = args.copies[blockIdx.x];
    auto* const layer = static_cast<unsigned char*>(args.cache) +
                        std::int64_t{blockIdx.y} * args.num_blocks * args.block_bytes;
    const auto* const from = reinterpret_cast<const uint4*>(layer + copy.source * args.block_bytes);
    auto* const to = reinterpret_cast<uint4*>(layer + copy.destination * args.block_bytes);
    const std::int64_t count = args.block_bytes / static_cast<std::int64_t>(sizeof(uint4));
    for (std::int64_t i = threadIdx.x; i < count; i += num_threads) to[i] = from[i];
}

}  // namespace

void rope_append(DType type, const RopeAppendArgs& args, cudaStream_t stream) {
    if (args.num_tokens == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_tokens)), .block = dim3(num_threads)};
    with_compute_type(type, [&]<class T>(T) { launch<rope_append_kernel<T>>(shape, stream, args); });
}

void copy_blocks(const CopyBlocksArgs& args, cudaStream_t stream) {
    if (args.num_copies == 0) return;
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(args.num_copies), static_cast<unsigned>(args.num_layers)),
        .block = dim3(num_threads)};
    launch<copy_blocks_kernel>(shape, stream, args);
}

}  // namespace solard::cuda
