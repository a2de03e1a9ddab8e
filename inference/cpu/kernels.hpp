// The inner loop of every matrix product. There is one version per instruction set and 16-bit type, chosen
// once when the backend is created.
//
// Weights, cached keys and cached values are all stored in panels. A panel has 16 columns and is stored row
// by row: the 16 elements for k = 0, then those for k = 1, and so on. Files compiled for one instruction set
// include this header, so it must not contain or include inline code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace solard {

enum class DType : std::uint8_t;

inline constexpr std::size_t panel_width = 16;

// y[i, 16 p + c] = (accumulate ? y[i, 16 p + c] : 0) + sum over k of x[i, k] * panels[p][k][c]
// for i < rows, p < num_panels, c < 16. Strides are in elements.
struct GemmBlock {
    const float* x;  // [rows, depth], fp32 or rounded to the compute type
    std::size_t x_stride;
    std::size_t rows;
    const std::uint16_t* panels;  // [num_panels][depth][16], in the compute type
    std::size_t panel_stride;
    std::size_t num_panels;
    std::size_t depth;
    float* y;  // [rows, 16 * num_panels]
    std::size_t y_stride;
    bool accumulate;
};

// Computes every element of y by adding its fp32 products one by one in ascending order of k. The result does
// not depend on the other rows and panels. A product may also be computed in several calls for consecutive
// ranges of k, with `accumulate` from the second call on. The result then has the same bits as the result of
// a single call.
using GemmKernel = void (*)(const GemmBlock& block);

struct Kernels {
    const char* name;  // the instruction set, such as "AVX2"
    GemmKernel gemm;
};

// Returns the best kernels that this CPU can run, or the portable ones if `force_portable` is true. `type`
// must be bf16 or fp16.
const Kernels& choose_kernels(DType type, bool force_portable);

#if defined(__x86_64__)
// These kernels need AVX2, FMA and F16C.
extern const Kernels avx2_bf16_kernels;
extern const Kernels avx2_fp16_kernels;
#endif

}  // namespace solard
