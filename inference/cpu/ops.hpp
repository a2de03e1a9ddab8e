// The element-wise parts of a Llama layer. Every row is computed independently and in a fixed order.
//
// A "rounded" value is a float that the compute type represents exactly: the value that a 16-bit forward pass
// would store.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "inference/cpu/thread_pool.hpp"
#include "inference/model/config.hpp"

namespace solard {

// Replaces x[i] by e^(x[i] - m), where m is the largest of the `count` >= 1 elements. Returns the sum of the
// results. The order of the additions depends only on the indices.
float softmax_numerators(float* x, std::size_t count);

// out = rounded(x / sqrt(mean(x^2) + epsilon) * weight). All arrays are [width].
void rms_norm_row(DType type, const float* x, std::span<const float> weight, float epsilon, float* out);

// Applies rms_norm_row to `rows` rows of x, [rows, weight.size()].
void rms_norm(ThreadPool& pool, DType type, const float* x, std::span<const float> weight, float epsilon,
              std::size_t rows, float* out);

// x[i, j] += addend[i, j] for j < width. `addend` has row stride `addend_stride`.
void add_residual(ThreadPool& pool, float* x, const float* addend, std::size_t addend_stride,
                  std::size_t width, std::size_t rows);

// out[i, j] = rounded(silu(gate_up[i, j]) * gate_up[i, width + j]) for j < width; `out` is [rows, width].
void swiglu(ThreadPool& pool, DType type, const float* gate_up, std::size_t gate_up_stride, std::size_t width,
            std::size_t rows, float* out);

// The rotary embedding in Llama's form: elements i and i + head_dim / 2 are the two coordinates of plane i,
// which is rotated by the angle position * frequencies[i].
class RopeTable {
  public:
    // `frequencies` is [head_dim / 2]; see rope_frequencies().
    RopeTable(std::span<const double> frequencies, std::size_t max_positions);
    // Rotates `head`, [head_dim], in place; 0 <= position < max_positions.
    void rotate(float* head, std::size_t position) const;

  private:
    std::size_t half_dim_;
    std::vector<float> cos_;  // [max_positions, half_dim]
    std::vector<float> sin_;
};

}  // namespace solard
