// Reductions over a block in one fixed order, so that the result has the same bits every time.
#pragma once

#include "cuda/ptx.cuh"

namespace solard::cuda {

// Returns the combination of all threads' values to every thread of the block. `num_threads` must be the
// block's size, a multiple of 32 up to 1,024; `combine` must be commutative. `scratch` is an array in shared
// memory, [num_threads / 32], which may be used again as soon as the function returns.
template <int num_threads, class T, class Combine>
__device__ inline T block_reduce(T value, T* scratch, const Combine& combine) {
    constexpr int num_warps = num_threads / warp_size;
    const int thread = static_cast<int>(threadIdx.x);
    for (int mask = warp_size / 2; mask > 0; mask /= 2) value = combine(value, shuffle_xor(value, mask));
    if (thread % warp_size == 0) scratch[thread / warp_size] = value;
    __syncthreads();
    value = scratch[0];
    for (int warp = 1; warp < num_warps; ++warp) value = combine(value, scratch[warp]);
    __syncthreads();
    return value;
}

template <int num_threads, class T>
__device__ inline T block_sum(T value, T* scratch) {
    return block_reduce<num_threads>(value, scratch, [](T a, T b) { return a + b; });
}

}  // namespace solard::cuda
