// Conversions of the floating-point types of weights. They round to nearest even and keep subnormals,
// infinities and NaN.
//
// The functions use conditional expressions instead of branches, so that the compiler vectorises loops that
// call them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "inference/model/config.hpp"

namespace solard {

inline float float_from_bf16(std::uint32_t half) {
    return std::bit_cast<float>(half << 16);
}

inline std::uint32_t bf16_from_float(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const std::uint32_t quiet_nan = (bits >> 16) | 0x40;
    return (bits & 0x7fffffff) > 0x7f800000 ? quiet_nan : rounded;
}

inline float float_from_fp16(std::uint32_t half) {
    constexpr std::uint32_t rebias = 112U << 23;  // from exponent bias 15 to 127
    const std::uint32_t shifted = (half & 0x7fff) << 13;
    const std::uint32_t exponent = shifted & 0x0f800000;
    const std::uint32_t normal = shifted + rebias;
    // A subnormal gets the exponent of a normal number, which adds an implicit leading 1. The subtraction
    // removes this 1.
    const float subnormal = std::bit_cast<float>(normal + (1U << 23)) - 0x1p-14F;
    std::uint32_t bits = exponent == 0x0f800000 ? normal + rebias : normal;
    bits = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : bits;
    return std::bit_cast<float>(bits | (half & 0x8000) << 16);
}

inline std::uint32_t fp16_from_float(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffff;
    const std::uint32_t rounded = (magnitude - (112U << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    const std::uint32_t bounded = magnitude > 0x477fefff ? 0x7c00 : rounded;
    // Floats from 0.5 to 1 are multiples of 2^-24, like fp16 subnormals. Therefore adding 0.5 rounds the
    // value to a multiple of 2^-24.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000;
    std::uint32_t half = magnitude < 0x38800000 ? subnormal : bounded;
    half = magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >> 13) & 0x3ff) : half;
    return half | ((bits >> 16) & 0x8000);
}

// The conversions above as templates, whose parameter is the 16-bit type.
template <DType type>
float float_from_half(std::uint32_t half) {
    static_assert(type != DType::fp32);
    return type == DType::bf16 ? float_from_bf16(half) : float_from_fp16(half);
}

template <DType type>
std::uint16_t half_from_float(float value) {
    static_assert(type != DType::fp32);
    return static_cast<std::uint16_t>(type == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value));
}

// Loads an element of the type from memory that need not be aligned.
template <DType type>
float load_as_float(const std::byte* element) {
    if constexpr (type == DType::fp32) {
        float value;
        std::memcpy(&value, element, sizeof value);
        return value;
    } else {
        std::uint16_t half;
        std::memcpy(&half, element, sizeof half);
        return float_from_half<type>(half);
    }
}

// Calls `function` with the type as the argument of its template.
template <class Function>
void with_dtype(DType type, const Function& function) {
    switch (type) {
        case DType::bf16:
            return function.template operator()<DType::bf16>();
        case DType::fp16:
            return function.template operator()<DType::fp16>();
        case DType::fp32:
            return function.template operator()<DType::fp32>();
    }
}

// Returns the nearest value of the 16-bit type, as a float.
template <DType type>
float rounded_to(float value) {
    return type == DType::bf16 ? float_from_bf16(bf16_from_float(value))
                               : float_from_fp16(fp16_from_float(value));
}

}  // namespace solard
