#include <cstring>

#include "inference/cpu/kernels.hpp"
#include "inference/model/config.hpp"

namespace solard {
namespace {

// Vectors of four elements exist on every target of interest (SSE2, NEON). On other targets, the compiler
// splits them.
using Float4 = float __attribute__((vector_size(16)));
using Bits4 = std::uint32_t __attribute__((vector_size(16)));
using Half4 = std::uint16_t __attribute__((vector_size(8)));

constexpr std::size_t vectors_per_panel = panel_width / 4;

Bits4 widen(const std::uint16_t* halves) {
    Half4 packed;
    std::memcpy(&packed, halves, sizeof packed);
    return __builtin_convertvector(packed, Bits4);
}

struct Bf16 {
    static Float4 load(const std::uint16_t* halves) { return reinterpret_cast<Float4>(widen(halves) << 16); }
};

struct Fp16 {
    // Does the same as float_from_fp16() in half.hpp, for four elements at a time.
    static Float4 load(const std::uint16_t* halves) {
        constexpr std::uint32_t rebias = 112U << 23;
        const Bits4 half = widen(halves);
        const Bits4 shifted = (half & 0x7fff) << 13;
        const Bits4 exponent = shifted & 0x0f800000;
        const Bits4 normal = shifted + rebias;
        const Float4 subnormal = reinterpret_cast<Float4>(normal + (1U << 23)) - 0x1p-14F;
        const auto is_special = reinterpret_cast<Bits4>(exponent == 0x0f800000);
        const auto is_subnormal = reinterpret_cast<Bits4>(exponent == 0);
        Bits4 bits = normal + (is_special & rebias);
        bits = (is_subnormal & reinterpret_cast<Bits4>(subnormal)) | (~is_subnormal & bits);
        return reinterpret_cast<Float4>(bits | (half & 0x8000) << 16);
    }
};

Float4 load4(const float* from) {
    Float4 value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class Half, std::size_t rows>
void tile(const GemmBlock& b, std::size_t row, std::size_t panel) {
    const float* const x = b.x + row * b.x_stride;
    const std::uint16_t* const w = b.panels + panel * b.panel_stride;
    float* const y = b.y + row * b.y_stride + panel * panel_width;

    Float4 sum[rows][vectors_per_panel] = {};
    if (b.accumulate) {
        for (std::size_t i = 0; i < rows; ++i) {
            for (std::size_t v = 0; v < vectors_per_panel; ++v) sum[i][v] = load4(y + i * b.y_stride + 4 * v);
        }
    }
    for (std::size_t k = 0; k < b.depth; ++k) {
        for (std::size_t v = 0; v < vectors_per_panel; ++v) {
            const Float4 weights = Half::load(w + k * panel_width + 4 * v);
            for (std::size_t i = 0; i < rows; ++i) sum[i][v] += x[i * b.x_stride + k] * weights;
        }
    }
    for (std::size_t i = 0; i < rows; ++i) {
        std::memcpy(y + i * b.y_stride, sum[i], sizeof sum[i]);
    }
}

template <class Half>
void gemm(const GemmBlock& b) {
    for (std::size_t panel = 0; panel < b.num_panels; ++panel) {
        std::size_t row = 0;
        for (; row + 2 <= b.rows; row += 2) tile<Half, 2>(b, row, panel);
        if (row < b.rows) tile<Half, 1>(b, row, panel);
    }
}

constexpr Kernels portable_bf16_kernels = {"portable", gemm<Bf16>};
constexpr Kernels portable_fp16_kernels = {"portable", gemm<Fp16>};

bool has_avx2() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
    return false;
#endif
}

}  // namespace

const Kernels& choose_kernels(DType type, bool force_portable) {
    const bool is_bf16 = type == DType::bf16;
#if defined(__x86_64__)
    if (!force_portable && has_avx2()) return is_bf16 ? avx2_bf16_kernels : avx2_fp16_kernels;
#endif
    return is_bf16 ? portable_bf16_kernels : portable_fp16_kernels;
}

}  // namespace solard
