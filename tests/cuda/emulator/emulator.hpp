// Defines the names that nvcc provides by itself. This file is force-included (-include) when g++ compiles a
// .cu file as C++. The toolkit's own headers declare types and prototypes; this file adds the names that the
// headers leave to the compiler.
//
// The threads of a block are fibers. One fiber runs at a time, until its next barrier or warp operation.
// Blocks run one after another. So there is no parallelism, and the schedule (schedule.hpp) decides in which
// order the threads of a block run.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tests/cuda/emulator/collectives.hpp"
#include "tests/cuda/emulator/launch.hpp"

// __shared__ means static and not thread_local, because AddressSanitizer puts no guard around thread-local
// arrays.
#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)

// The values of the thread that runs now.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

inline void __syncthreads(const std::source_location& where = std::source_location::current()) {
    cuda_emulator::sync_block(where);
}

template <class T>
T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
    return a < b ? b : a;
}

template <class Params>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Params),
                               const Params& params) {
    cuda_emulator::launch(kernel, config->gridDim, config->blockDim, config->dynamicSmemBytes, config->stream,
                          params);
    return cudaSuccess;
}

inline int __float_as_int(float x) {
    return std::bit_cast<int>(x);
}
inline unsigned __float_as_uint(float x) {
    return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
    return std::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned x) {
    return std::bit_cast<float>(x);
}
inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline int __clz(int x) {
    return std::countl_zero(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
    return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
template <class T>
T __ldg(const T* address) {
    return *address;
}

template <class T>
T atomicAdd(T* address, T value) {
    return cuda_emulator::atomically(address, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMax(T* address, T value) {
    return cuda_emulator::atomically(address, [&](T old) { return max(old, value); });
}
template <class T>
T atomicMin(T* address, T value) {
    return cuda_emulator::atomically(address, [&](T old) { return min(old, value); });
}
template <class T>
T atomicOr(T* address, T value) {
    return cuda_emulator::atomically(address, [&](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicExch(T* address, T value) {
    return cuda_emulator::atomically(address, [&](T) { return value; });
}
