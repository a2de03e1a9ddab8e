#include "inference/cpu/packed_matrix.hpp"

#include <algorithm>
#include <cstring>

#include "inference/cpu/half.hpp"
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

template <DType from>
float load_as_float(const std::byte* element) {
    if constexpr (from == DType::fp32) {
        float value;
        std::memcpy(&value, element, sizeof value);
        return value;
    } else {
        std::uint16_t half;
        std::memcpy(&half, element, sizeof half);
        return float_from_half<from>(half);
    }
}

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
void interleave(const std::byte* rows, std::size_t num_rows, std::size_t in_features, std::uint16_t* panel) {
    constexpr std::size_t size = size_of(from);
    for (std::size_t k = 0; k < in_features; ++k) {
        for (std::size_t c = 0; c < num_rows; ++c) {
            panel[k * panel_width + c] = convert<from, to>(rows + (c * in_features + k) * size);
        }
        for (std::size_t c = num_rows; c < panel_width; ++c) panel[k * panel_width + c] = 0;
    }
}

template <DType to>
void interleave_from(DType from, const std::byte* rows, std::size_t num_rows, std::size_t in_features,
                     std::uint16_t* panel) {
    switch (from) {
        case DType::bf16:
            return interleave<DType::bf16, to>(rows, num_rows, in_features, panel);
        case DType::fp16:
            return interleave<DType::fp16, to>(rows, num_rows, in_features, panel);
        case DType::fp32:
            return interleave<DType::fp32, to>(rows, num_rows, in_features, panel);
    }
}

}  // namespace

void pack_panel(const std::byte* rows, std::size_t num_rows, std::size_t in_features, DType from, DType to,
                std::uint16_t* panel) {
    if (to == DType::bf16) {
        interleave_from<DType::bf16>(from, rows, num_rows, in_features, panel);
    } else {
        interleave_from<DType::fp16>(from, rows, num_rows, in_features, panel);
    }
}

void convert_to_float(const std::byte* elements, DType from, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::byte* const element = elements + i * size_of(from);
        switch (from) {
            case DType::bf16:
                out[i] = load_as_float<DType::bf16>(element);
                break;
            case DType::fp16:
                out[i] = load_as_float<DType::fp16>(element);
                break;
            case DType::fp32:
                out[i] = load_as_float<DType::fp32>(element);
                break;
        }
    }
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
