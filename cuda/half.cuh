// The two 16-bit types as device code sees them, one at a time, in pairs and in vectors of 16 bytes.
#pragma once

#ifndef SOLARD_CUDA_ON_CPU
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <cstdint>
#include <type_traits>

namespace solard::cuda {

template <class T>
__device__ inline float to_float(T value) {
    if constexpr (std::is_same_v<T, __nv_bfloat16>) return __bfloat162float(value);
    if constexpr (std::is_same_v<T, __half>) return __half2float(value);
    if constexpr (std::is_same_v<T, float>) return value;
}

template <class T>
__device__ inline T from_float(float value) {
    if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16_rn(value);
    if constexpr (std::is_same_v<T, __half>) return __float2half_rn(value);
    if constexpr (std::is_same_v<T, float>) return value;
}

// Two elements in one register, the first in the low half.
template <class T>
__device__ inline std::uint32_t pack(float first, float second) {
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        const std::uint32_t low = __bfloat16_as_ushort(__float2bfloat16_rn(first));
        const std::uint32_t high = __bfloat16_as_ushort(__float2bfloat16_rn(second));
        return low | (high << 16);
    } else {
        const std::uint32_t low = __half_as_ushort(__float2half_rn(first));
        const std::uint32_t high = __half_as_ushort(__float2half_rn(second));
        return low | (high << 16);
    }
}

template <class T>
__device__ inline float2 unpack(std::uint32_t pair) {
    const auto low = static_cast<unsigned short>(pair & 0xffff);
    const auto high = static_cast<unsigned short>(pair >> 16);
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        return {__bfloat162float(__ushort_as_bfloat16(low)), __bfloat162float(__ushort_as_bfloat16(high))};
    } else {
        return {__half2float(__ushort_as_half(low)), __half2float(__ushort_as_half(high))};
    }
}

// Eight elements, one access of 16 bytes.
inline constexpr int vector_width = 8;

template <class T>
__device__ inline void unpack(const uint4& vector, float (&values)[vector_width]) {
    const std::uint32_t pairs[4] = {vector.x, vector.y, vector.z, vector.w};
    for (int i = 0; i < 4; ++i) {
        const float2 pair = unpack<T>(pairs[i]);
        values[2 * i] = pair.x;
        values[2 * i + 1] = pair.y;
    }
}

template <class T>
__device__ inline uint4 pack(const float (&values)[vector_width]) {
    return {pack<T>(values[0], values[1]), pack<T>(values[2], values[3]), pack<T>(values[4], values[5]),
            pack<T>(values[6], values[7])};
}

}  // namespace solard::cuda
