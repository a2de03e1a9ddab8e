// The variants that the tests of the CPU backend run over, and their helpers.
#pragma once

#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "inference/model/config.hpp"

namespace solard {

// Both 16-bit types on both kernel paths. If the CPU has no AVX2, the portable path runs twice.
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
