// Converts, loads and stores the two 16-bit types in device code: as single elements, as pairs, and as
// vectors of 16 bytes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

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

// Rounds two elements to T and puts them into one register, the first in the low half.
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

// The number of 16-bit elements in one access of 16 bytes.
inline constexpr int vector_width = 8;

template <class T>
__device__ inline void load(const T* from, float (&values)[vector_width]) {
    const uint4 vector = *reinterpret_cast<const uint4*>(from);
    const std::uint32_t pairs[4] = {vector.x, vector.y, vector.z, vector.w};
    for (int i = 0; i < 4; ++i) {
        const float2 pair = unpack<T>(pairs[i]);
        values[2 * i] = pair.x;
        values[2 * i + 1] = pair.y;
    }
}

// The vector is first put into a local variable. If the result of a function were written to memory directly,
// the race checker of the tests would not see the write.
template <class T>
__device__ inline void store(const float (&values)[vector_width], T* to) {
    const uint4 vector = {pack<T>(values[0], values[1]), pack<T>(values[2], values[3]),
                          pack<T>(values[4], values[5]), pack<T>(values[6], values[7])};
    *reinterpret_cast<uint4*>(to) = vector;
}

// Loads eight floats by two accesses.
__device__ inline void load(const float* from, float (&values)[vector_width]) {
    const float4 low = reinterpret_cast<const float4*>(from)[0];
    const float4 high = reinterpret_cast<const float4*>(from)[1];
    const float all[vector_width] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    for (int i = 0; i < vector_width; ++i) values[i] = all[i];
}

__device__ inline void store(const float (&values)[vector_width], float* to) {
    reinterpret_cast<float4*>(to)[0] = {values[0], values[1], values[2], values[3]};
    reinterpret_cast<float4*>(to)[1] = {values[4], values[5], values[6], values[7]};
}

}  // namespace solard::cuda
