// Launchers of kernels that call one wrapper of ptx.cuh each; on a GPU the same file shows what the
// instructions do.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/model/config.hpp"

namespace solard::cuda {

// One warp: four 8x8 matrices of 16-bit elements, each row 16 bytes, to the lanes' registers [32, 4].
struct LoadMatrixArgs {
    const std::uint16_t* matrices;  // [4, 8, 8]
    std::uint32_t* registers;       // [32, 4]
    bool transposed;
};
void load_matrices(const LoadMatrixArgs& args, cudaStream_t stream);

// One warp: d[16, 8] += a[16, 16] b[16, 8], row-major, a and b of the 16-bit type.
struct MmaArgs {
    const std::uint16_t* a;
    const std::uint16_t* b;
    float* d;
};
void multiply_tiles(DType type, const MmaArgs& args, cudaStream_t stream);

// One warp: what each lane gets of `values` [32] by each of the shuffles, and the ballot of odd values.
struct ShuffleArgs {
    const double* values;
    double* from_lane;       // of lane 31 - own
    double* by_xor;          // own ^ mask
    double* up;              // own - delta
    std::uint32_t* ballots;  // [32]
    int mask;
    unsigned delta;
};
void shuffle_values(const ShuffleArgs& args, cudaStream_t stream);

// 64 threads: 16 bytes each through shared memory by cp.async, in two groups; pieces with `valid` 0 become
// zeros.
struct CopyAsyncArgs {
    const std::uint32_t* in;    // [64, 4]
    const std::int32_t* valid;  // [64]
    std::uint32_t* out;         // [64, 4]
};
void copy_pieces(const CopyAsyncArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
