// A weight matrix in panels and its product with rows of activations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "inference/cpu/kernels.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/model/config.hpp"
#include "inference/sizes.hpp"

namespace solard {

// A matrix [out_features, in_features] in the compute type, stored as [panels][in_features][16]. The columns
// that pad the last panel are zero. Does not own its memory.
struct PackedMatrix {
    const std::uint16_t* data = nullptr;
    std::size_t out_features = 0;
    std::size_t in_features = 0;

    static constexpr std::size_t panels_for(std::size_t features) { return divide_up(features, panel_width); }
    // Returns the number of elements of `data`.
    static constexpr std::size_t elements_for(std::size_t out_features, std::size_t in_features) {
        return panels_for(out_features) * panel_width * in_features;
    }

    std::size_t num_panels() const { return panels_for(out_features); }
    std::size_t panel_stride() const { return panel_width * in_features; }
    // Returns the row stride of the output of gemm(): out_features padded to whole panels.
    std::size_t padded_out() const { return round_up(out_features, panel_width); }
};

// Packs up to 16 rows of a matrix into columns of a panel, which is [in_features][16]. `rows` is [num_rows,
// in_features] as stored on disk. `columns` points to the first of the columns in the panel; other columns
// are not changed. `from` may be any type, but `to` must be bf16 or fp16.
void pack_rows(const std::byte* rows, std::size_t num_rows, std::size_t in_features, DType from, DType to,
               std::uint16_t* columns);

// Converts one row of the matrix, such as the embedding of a token, to floats. `out` is [in_features].
void unpack_row(const PackedMatrix& matrix, DType type, std::size_t row, float* out);

// y = x W^T: x is [rows, in_features] with row stride in_features, y is [rows, padded_out()].
void gemm(ThreadPool& pool, const Kernels& kernels, const PackedMatrix& matrix, const float* x,
          std::size_t rows, float* y);

}  // namespace solard
