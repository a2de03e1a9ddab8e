// Copies arrays between the host and the device, which may be emulated, and makes arrays of random numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <span>
#include <vector>

#include "cuda/device.hpp"
#include "inference/model/half.hpp"

namespace solard {

inline std::ostream& operator<<(std::ostream& out, DType type) {
    return out << (type == DType::bf16 ? "bf16" : type == DType::fp16 ? "fp16" : "fp32");
}

}  // namespace solard

namespace solard::cuda {

using Halves = std::vector<std::uint16_t>;

inline float float_of(DType type, std::uint16_t half) {
    return type == DType::bf16 ? float_from_bf16(half) : float_from_fp16(half);
}
inline std::uint16_t half_of(DType type, double value) {
    const auto nearest = static_cast<float>(value);
    return static_cast<std::uint16_t>(type == DType::bf16 ? bf16_from_float(nearest)
                                                          : fp16_from_float(nearest));
}
inline double rounded(DType type, double value) {
    return float_of(type, half_of(type, value));
}

// Returns normally distributed values, rounded to the type.
inline Halves random_halves(DType type, std::size_t count, std::mt19937_64& random, float deviation = 1) {
    std::normal_distribution<float> normal(0, deviation);
    Halves values(count);
    for (std::uint16_t& value : values) value = half_of(type, normal(random));
    return values;
}

template <class T>
DeviceBuffer<T> on_device(const std::vector<T>& values) {
    DeviceBuffer<T> buffer(values.size());
    check(cudaMemcpy(buffer.data(), values.data(), buffer.size_bytes(), cudaMemcpyHostToDevice));
    check(cudaDeviceSynchronize());  // a non-blocking stream would not wait for the copy
    return buffer;
}

// Copies the buffer to the host after all enqueued work has finished.
template <class T>
std::vector<T> on_host(const DeviceBuffer<T>& buffer) {
    check(cudaDeviceSynchronize());
    std::vector<T> values(buffer.size());
    check(cudaMemcpy(values.data(), buffer.data(), buffer.size_bytes(), cudaMemcpyDeviceToHost));
    return values;
}

inline double max_error(DType type, const Halves& values, std::span<const double> expected) {
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double error = std::abs(float_of(type, values[i]) - expected[i]);
        if (std::isnan(error)) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, error);
    }
    return worst;
}

}  // namespace solard::cuda
