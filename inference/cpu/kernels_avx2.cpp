// This file is compiled with -mavx2 -mfma -mf16c. Code of the standard library must not be used here: the
// linker may keep this file's copy of an inline function for the whole program, which would then fail on CPUs
// without AVX2.
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

#include "inference/cpu/kernels.hpp"

namespace solard {
namespace {

struct Bf16 {
    static __m256 load(const std::uint16_t* halves) {
        const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(packed), 16));
    }
};

struct Fp16 {
    static __m256 load(const std::uint16_t* halves) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
    }
};

// Computes a tile of `rows` x `panels`. The 2 * rows * panels sums of a tile stay in registers. No sum
// depends on another sum, and 8 to 12 independent sums hide the latency of the FMA instructions.
template <class Half, std::size_t rows, std::size_t panels>
void tile(const GemmBlock& b, std::size_t row, std::size_t panel) {
    const float* const x = b.x + row * b.x_stride;
    const std::uint16_t* const w = b.panels + panel * b.panel_stride;
    float* const y = b.y + row * b.y_stride + panel * panel_width;

    __m256 sum[rows][panels][2];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < panels; ++p) {
            const float* const from = y + i * b.y_stride + p * panel_width;
            sum[i][p][0] = b.accumulate ? _mm256_loadu_ps(from) : _mm256_setzero_ps();
            sum[i][p][1] = b.accumulate ? _mm256_loadu_ps(from + 8) : _mm256_setzero_ps();
        }
    }
    for (std::size_t k = 0; k < b.depth; ++k) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < panels; ++p) {
            const std::uint16_t* const halves = w + p * b.panel_stride + k * panel_width;
            const __m256 low = Half::load(halves);
            const __m256 high = Half::load(halves + 8);
#pragma GCC unroll 8
            for (std::size_t i = 0; i < rows; ++i) {
                const __m256 factor = _mm256_broadcast_ss(x + i * b.x_stride + k);
                sum[i][p][0] = _mm256_fmadd_ps(factor, low, sum[i][p][0]);
                sum[i][p][1] = _mm256_fmadd_ps(factor, high, sum[i][p][1]);
            }
        }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < panels; ++p) {
            float* const to = y + i * b.y_stride + p * panel_width;
            _mm256_storeu_ps(to, sum[i][p][0]);
            _mm256_storeu_ps(to + 8, sum[i][p][1]);
        }
    }
}

// Computes all rows (one or two) for several panels at a time.
template <class Half, std::size_t rows, std::size_t panels_at_once>
void strip(const GemmBlock& b) {
    std::size_t panel = 0;
    for (; panel + panels_at_once <= b.num_panels; panel += panels_at_once) {
        tile<Half, rows, panels_at_once>(b, 0, panel);
    }
    for (; panel < b.num_panels; ++panel) tile<Half, rows, 1>(b, 0, panel);
}

// Returns the number of rows of the next tile, at most six. 7 to 11 rows are divided into two tiles of about
// the same size, because a tile of very few rows has too few sums to hide the latency.
std::size_t next_tile(std::size_t rows_left) {
    if (rows_left >= 12 || rows_left == 6) return 6;
    return rows_left > 6 ? (rows_left + 1) / 2 : rows_left;
}

template <class Half>
void gemm(const GemmBlock& b) {
    if (b.rows == 1) return strip<Half, 1, 4>(b);
    if (b.rows == 2) return strip<Half, 2, 2>(b);
    // The outer loop is over panels, so that a panel stays in L1 until all rows have used it.
    for (std::size_t panel = 0; panel < b.num_panels; ++panel) {
        for (std::size_t row = 0; row < b.rows;) {
            const std::size_t rows = next_tile(b.rows - row);
            switch (rows) {
                case 3:
                    tile<Half, 3, 1>(b, row, panel);
                    break;
                case 4:
                    tile<Half, 4, 1>(b, row, panel);
                    break;
                case 5:
                    tile<Half, 5, 1>(b, row, panel);
                    break;
                default:
                    tile<Half, 6, 1>(b, row, panel);
                    break;
            }
            row += rows;
        }
    }
}

}  // namespace

const Kernels avx2_bf16_kernels = {"AVX2", gemm<Bf16>};
const Kernels avx2_fp16_kernels = {"AVX2", gemm<Fp16>};

}  // namespace solard

#endif
