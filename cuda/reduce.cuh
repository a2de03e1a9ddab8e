// Sums and maxima over a warp and a block, in one fixed order: the same bits every time.
#pragma once

#include "cuda/ptx.cuh"

namespace solard::cuda {

// Every lane gets the sum of all.
__device__ inline float warp_sum(float value) {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    return value;
}

// Every thread gets the sum over a block of `num_threads`, a multiple of 32 up to 1,024. `scratch` is shared,
// [num_threads / 32]; it may be used again after the next barrier.
template <int num_threads>
__device__ float block_sum(float value, float* scratch) {
    constexpr int num_warps = num_threads / warp_size;
    const int thread = static_cast<int>(threadIdx.x);
    value = warp_sum(value);
    if (thread % warp_size == 0) scratch[thread / warp_size] = value;
    __syncthreads();
    float sum = 0;
    for (int warp = 0; warp < num_warps; ++warp) sum += scratch[warp];
    return sum;
}

}  // namespace solard::cuda
