// Launches kernels that call the wrappers of ptx.cuh. The same kernels run on the emulator and on a GPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/model/config.hpp"

namespace solard::cuda {

// One warp loads four 8x8 matrices of 16-bit elements into four registers of each lane.
struct LoadMatrixArgs {
    const std::uint16_t* matrices;  // [4, 8, 8]
    std::uint32_t* registers;       // [32, 4]
    bool transposed;
};
void load_matrices(const LoadMatrixArgs& args, cudaStream_t stream);

// One warp computes d[16, 8] += a[16, 16] b[16, 8]. All are row-major; a and b are bf16 or fp16, d is fp32.
struct MmaArgs {
    const std::uint16_t* a;
    const std::uint16_t* b;
    float* d;
};
void multiply_tiles(DType type, const MmaArgs& args, cudaStream_t stream);

// One warp shuffles `values` [32] in three ways, and each lane stores the values that it receives. The ballot
// has a bit for every lane whose value is odd.
struct ShuffleArgs {
    const double* values;
    double* from_lane;       // lane i receives from lane 31 - i
    double* by_xor;          // lane i receives from lane i ^ mask
    double* up;              // lane i receives from lane i - delta, or keeps its value if i < delta
    std::uint32_t* ballots;  // [32]
    int mask;
    unsigned delta;
};
void shuffle_values(const ShuffleArgs& args, cudaStream_t stream);

// 64 threads copy 16 bytes each through shared memory by cp.async. A second, empty group of copies follows.
// Pieces whose `valid` is 0 become zeros.
struct CopyAsyncArgs {
    const std::uint32_t* in;    // [64, 4]
    const std::int32_t* valid;  // [64]
    std::uint32_t* out;         // [64, 4]
};
void copy_pieces(const CopyAsyncArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
