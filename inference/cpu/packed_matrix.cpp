#include "inference/cpu/packed_matrix.hpp"

#include <algorithm>
#include <cstring>

#include "inference/model/half.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

// The number of panels per kernel call. The kernel for a single row computes the same number of panels at a
// time.
constexpr std::size_t panels_per_group = 4;
// If there are many rows, one pass covers this depth. The part of a panel that one pass reads has 16 KB and
// stays in L1.
constexpr std::size_t depth_of_pass = 512;
// The approximate number of multiplications per work item. Passing fewer multiplications to another thread
// costs more time than computing them.
constexpr std::size_t multiplications_per_item = 65536;

template <DType from, DType to>
std::uint16_t convert(const std::byte* element) {
    if constexpr (from == to) {
        std::uint16_t half;
        std::memcpy(&half, element, sizeof half);
        return half;
    } else {
        return half_from_float<to>(load_as_float<from>(element));
    }
}

template <DType from, DType to>
void interleave(const std::byte* rows, std::size_t num_rows, std::size_t in_features,
                std::uint16_t* columns) {
    constexpr std::size_t size = size_of(from);
    for (std::size_t k = 0; k < in_features; ++k) {
        for (std::size_t c = 0; c < num_rows; ++c) {
            columns[k * panel_width + c] = convert<from, to>(rows + (c * in_features + k) * size);
        }
    }
}

}  // namespace

void pack_rows(const std::byte* rows, std::size_t num_rows, std::size_t in_features, DType from, DType to,
               std::uint16_t* columns) {
    with_dtype(from, [&]<DType type>() {
        if (to == DType::bf16) {
            interleave<type, DType::bf16>(rows, num_rows, in_features, columns);
        } else {
            interleave<type, DType::fp16>(rows, num_rows, in_features, columns);
        }
    });
}

void unpack_row(const PackedMatrix& matrix, DType type, std::size_t row, float* out) {
    const std::uint16_t* const column =
        matrix.data + row / panel_width * matrix.panel_stride() + row % panel_width;
    for (std::size_t k = 0; k < matrix.in_features; ++k) {
        const std::uint16_t half = column[k * panel_width];
        out[k] = type == DType::bf16 ? float_from_bf16(half) : float_from_fp16(half);
    }
}

void gemm(ThreadPool& pool, const Kernels& kernels, const PackedMatrix& matrix, const float* x,
          std::size_t rows, float* y) {
    const std::size_t depth = matrix.in_features;
    const std::size_t num_panels = matrix.num_panels();
    const std::size_t group_cost = rows * depth * panel_width * panels_per_group;
    const std::size_t groups_per_item = 1 + multiplications_per_item / (group_cost + 1);
    const std::size_t panels_per_item = groups_per_item * panels_per_group;
    // If there are few rows, the panels need not stay in the cache, and reading them in one pass is fastest.
    const std::size_t pass = rows > 6 ? depth_of_pass : depth;

    pool.parallel_for(divide_up(num_panels, panels_per_item), [&](std::size_t item, int) {
        const std::size_t end = std::min(num_panels, (item + 1) * panels_per_item);
        for (std::size_t panel = item * panels_per_item; panel < end; panel += panels_per_group) {
            for (std::size_t k = 0; k < depth; k += pass) {
                kernels.gemm({.x = x + k,
                              .x_stride = depth,
                              .rows = rows,
                              .panels = matrix.data + panel * matrix.panel_stride() + k * panel_width,
                              .panel_stride = matrix.panel_stride(),
                              .num_panels = std::min(panels_per_group, end - panel),
                              .depth = std::min(pass, depth - k),
                              .y = y + panel * panel_width,
                              .y_stride = matrix.padded_out(),
                              .accumulate = k > 0});
            }
        }
    });
}

}  // namespace solard
