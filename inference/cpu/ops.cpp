#include "inference/cpu/ops.hpp"

#include <algorithm>
#include <cmath>

#include "inference/model/half.hpp"
#include "inference/sampling/exp_approx.hpp"
#include "inference/sizes.hpp"

namespace solard {

namespace {

// The approximate number of elements per work item. Passing fewer elements to another thread costs more time
// than computing them.
constexpr std::size_t elements_per_item = 16384;
// The number of partial results of a reduction. Each partial result is called a lane. Element i always
// belongs to lane i mod 16, even if the vector unit has more or fewer lanes.
constexpr std::size_t num_lanes = 16;

template <class RowBody>
void for_rows(ThreadPool& pool, std::size_t rows, std::size_t width, const RowBody& body) {
    const std::size_t rows_per_item = 1 + elements_per_item / (width + 1);
    pool.parallel_for(divide_up(rows, rows_per_item), [&](std::size_t item, int) {
        const std::size_t end = std::min(rows, (item + 1) * rows_per_item);
        for (std::size_t row = item * rows_per_item; row < end; ++row) body(row);
    });
}

// Combines the elements of each lane by `add`, then combines the lanes into one value by `merge`.
template <class Add, class Merge>
float reduce(const float* x, std::size_t count, float initial, const Add& add, const Merge& merge) {
    float lanes[num_lanes];
    std::fill_n(lanes, num_lanes, initial);
    std::size_t i = 0;
    for (; i + num_lanes <= count; i += num_lanes) {
        for (std::size_t lane = 0; lane < num_lanes; ++lane) lanes[lane] = add(lanes[lane], x[i + lane]);
    }
    for (; i < count; ++i) lanes[i % num_lanes] = add(lanes[i % num_lanes], x[i]);
    for (std::size_t lane = 1; lane < num_lanes; ++lane) lanes[0] = merge(lanes[0], lanes[lane]);
    return lanes[0];
}

constexpr auto sum = [](float left, float right) { return left + right; };
constexpr auto larger = [](float left, float right) { return right > left ? right : left; };
constexpr auto sum_of_squares = [](float total, float value) { return total + value * value; };

template <DType type>
void rms_norm_row_as(const float* x, std::span<const float> weight, float epsilon, float* out) {
    const std::size_t width = weight.size();
    const float squares = reduce(x, width, 0, sum_of_squares, sum);
    const float factor = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
    for (std::size_t j = 0; j < width; ++j) out[j] = rounded_to<type>(x[j] * factor * weight[j]);
}

template <DType type>
void swiglu_row(const float* gate, const float* up, std::size_t width, float* out) {
    for (std::size_t j = 0; j < width; ++j) {
        out[j] = rounded_to<type>(gate[j] / (1.0F + exp_approx(-gate[j])) * up[j]);
    }
}

}  // namespace

float softmax_numerators(float* x, std::size_t count) {
    const float largest = reduce(x, count, x[0], larger, larger);
    for (std::size_t i = 0; i < count; ++i) x[i] = exp_approx(x[i] - largest);
    return reduce(x, count, 0, sum, sum);
}

void rms_norm_row(DType type, const float* x, std::span<const float> weight, float epsilon, float* out) {
    if (type == DType::bf16) {
        rms_norm_row_as<DType::bf16>(x, weight, epsilon, out);
    } else {
        rms_norm_row_as<DType::fp16>(x, weight, epsilon, out);
    }
}

void rms_norm(ThreadPool& pool, DType type, const float* x, std::span<const float> weight, float epsilon,
              std::size_t rows, float* out) {
    const std::size_t width = weight.size();
    for_rows(pool, rows, width, [&](std::size_t row) {
        rms_norm_row(type, x + row * width, weight, epsilon, out + row * width);
    });
}

void add_residual(ThreadPool& pool, float* x, const float* addend, std::size_t addend_stride,
                  std::size_t width, std::size_t rows) {
    for_rows(pool, rows, width, [&](std::size_t row) {
        float* const to = x + row * width;
        const float* const from = addend + row * addend_stride;
        for (std::size_t j = 0; j < width; ++j) to[j] += from[j];
    });
}

void swiglu(ThreadPool& pool, DType type, const float* gate_up, std::size_t gate_up_stride, std::size_t width,
            std::size_t rows, float* out) {
    for_rows(pool, rows, width, [&](std::size_t row) {
        const float* const gate = gate_up + row * gate_up_stride;
        if (type == DType::bf16) {
            swiglu_row<DType::bf16>(gate, gate + width, width, out + row * width);
        } else {
            swiglu_row<DType::fp16>(gate, gate + width, width, out + row * width);
        }
    });
}

RopeTable::RopeTable(std::span<const double> frequencies, std::size_t max_positions)
    : half_dim_(frequencies.size()), cos_(max_positions * half_dim_), sin_(max_positions * half_dim_) {
    for (std::size_t plane = 0; plane < half_dim_; ++plane) {
        for (std::size_t position = 0; position < max_positions; ++position) {
            const double angle = static_cast<double>(position) * frequencies[plane];
            cos_[position * half_dim_ + plane] = static_cast<float>(std::cos(angle));
            sin_[position * half_dim_ + plane] = static_cast<float>(std::sin(angle));
        }
    }
}

void RopeTable::rotate(float* head, std::size_t position) const {
    const float* const cosine = cos_.data() + position * half_dim_;
    const float* const sine = sin_.data() + position * half_dim_;
    for (std::size_t plane = 0; plane < half_dim_; ++plane) {
        const float first = head[plane];
        const float second = head[half_dim_ + plane];
        head[plane] = first * cosine[plane] - second * sine[plane];
        head[half_dim_ + plane] = second * cosine[plane] + first * sine[plane];
    }
}

}  // namespace solard
