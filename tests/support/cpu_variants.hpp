// The variants of the CPU backend that its tests run, and helper functions for these tests.
#pragma once

#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "inference/model/config.hpp"

namespace solard {

// A 16-bit type and a kernel path. If the CPU has no AVX2, the variants with portable = false also take the
// portable path.
struct CpuVariant {
    DType type;
    bool portable;
};
inline constexpr CpuVariant cpu_variants[] = {
    {DType::bf16, false}, {DType::bf16, true}, {DType::fp16, false}, {DType::fp16, true}};

inline bool same_bits(std::span<const float> left, std::span<const float> right) {
    return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size_bytes()) == 0;
}

// Returns normally distributed values.
inline std::vector<float> random_values(std::size_t count, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> distribution;
    std::vector<float> values(count);
    for (float& value : values) value = distribution(generator);
    return values;
}

}  // namespace solard
