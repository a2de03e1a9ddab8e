// Launchers of kernels that each call one wrapper of ptx.cuh. On a GPU the same kernels show what the real
// instructions do.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/model/config.hpp"

namespace solard::cuda {

// One warp loads four 8x8 matrices of 16-bit elements, with rows of 16 bytes, into the lanes' registers [32,
// 4].
struct LoadMatrixArgs {
    const std::uint16_t* matrices;  // [4, 8, 8]
    std::uint32_t* registers;       // [32, 4]
    bool transposed;
};
void load_matrices(const LoadMatrixArgs& args, cudaStream_t stream);

// One warp computes d[16, 8] += a[16, 16] b[16, 8]. All are row-major; a and b have the 16-bit type.
struct MmaArgs {
    const std::uint16_t* a;
    const std::uint16_t* b;
    float* d;
};
void multiply_tiles(DType type, const MmaArgs& args, cudaStream_t stream);

// One warp: the value of `values` [32] that each lane receives by each of the shuffles, and the ballot of odd
// values.
struct ShuffleArgs {
    const double* values;
    double* from_lane;       // from lane 31 - own number
    double* by_xor;          // from lane own number ^ mask
    double* up;              // from lane own number - delta
    std::uint32_t* ballots;  // [32]
    int mask;
    unsigned delta;
};
void shuffle_values(const ShuffleArgs& args, cudaStream_t stream);

// 64 threads copy 16 bytes each through shared memory by cp.async, in two groups. Pieces whose `valid` is 0
// become zeros.
struct CopyAsyncArgs {
    const std::uint32_t* in;    // [64, 4]
    const std::int32_t* valid;  // [64]
    std::uint32_t* out;         // [64, 4]
};
void copy_pieces(const CopyAsyncArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
