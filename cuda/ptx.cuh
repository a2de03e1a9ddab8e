// Every instruction that C++ has no word for, one wrapper each. Nothing else in cuda/ uses inline PTX, a warp
// builtin or a matrix unit. All lanes of the warp call them together.
//
// Fragment layouts are those of the PTX ISA, "Matrix fragments for mma.m16n8k16" and "ldmatrix". With
// `SOLARD_CUDA_ON_CPU` each wrapper has a scalar body in tests/cuda/emulator/.
#pragma once

#ifndef SOLARD_CUDA_ON_CPU
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace solard::cuda {

inline constexpr int warp_size = 32;
inline constexpr std::uint32_t full_mask = 0xffffffff;

#ifndef SOLARD_CUDA_ON_CPU
namespace detail {
__device__ inline std::uint32_t shared_address(const void* pointer) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}
}  // namespace detail
#endif

// Shared memory is named by a base and an offset in bytes: the sum is made in 32 bits, and what is constant
// in the offset costs no register.

// ldmatrix.x4: four 8x8 matrices of 16-bit elements from shared memory. Lane i gives the place of row i % 8
// of matrix i / 8, 16 bytes, aligned to 16. Lane i receives of matrix m in r[m] the elements (i / 4, 2 * (i %
// 4)) and its right neighbour, the left one in the low half.
__device__ inline void load_matrix_x4(std::uint32_t (&r)[4], const void* base, std::uint32_t offset) {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::load_matrix_x4(r, static_cast<const unsigned char*>(base) + offset);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(detail::shared_address(base) + offset)
                 : "memory");
#endif
}

// ldmatrix.x4.trans: the same, each matrix transposed on its way.
__device__ inline void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* base,
                                                 std::uint32_t offset) {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::load_matrix_x4_transposed(r, static_cast<const unsigned char*>(base) + offset);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(detail::shared_address(base) + offset)
                 : "memory");
#endif
}

// mma.m16n8k16: d[16, 8] += a[16, 16] b[16, 8], T = __nv_bfloat16 or __half, sums in fp32. With g = lane / 4
// and t = lane % 4 a lane holds
//   a[0] (g, 2t) a[1] (g + 8, 2t) a[2] (g, 2t + 8) a[3] (g + 8, 2t + 8), each with its right neighbour
//   b[0] (2t, g) b[1] (2t + 8, g), each with the element below
//   d[0] (g, 2t) d[1] (g, 2t + 1) d[2] (g + 8, 2t) d[3] (g + 8, 2t + 1)
template <class T>
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::mma_m16n8k16<T>(d, a, b);
#else
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
            "{%8, %9}, {%0, %1, %2, %3};\n"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    } else {
        static_assert(std::is_same_v<T, __half>);
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
            "{%8, %9}, {%0, %1, %2, %3};\n"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
#endif
}

// cp.async.cg: 16 bytes from global to shared memory, both aligned to 16, past the registers and the L1
// cache. Where !valid, zeros are written and `global` is not read. Belongs to the thread's open group.
__device__ inline void copy_async_16(void* base, std::uint32_t offset, const void* global, bool valid) {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::copy_async_16(static_cast<unsigned char*>(base) + offset, global, valid);
#else
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(detail::shared_address(base) + offset),
        "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
        : "memory");
#endif
}

// Closes the thread's group of copies and opens the next.
__device__ inline void copy_async_commit() {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::copy_async_commit();
#else
    asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

// Waits until at most `pending` of the thread's closed groups are under way. Only the thread's own copies:
// what others copied needs a barrier after their wait.
template <int pending>
__device__ inline void copy_async_wait() {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::copy_async_wait(pending);
#else
    asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory");
#endif
}

// __syncwarp: what the lanes wrote to memory before is seen by all of them after.
__device__ inline void sync_warp() {
#ifdef SOLARD_CUDA_ON_CPU
    cuda_on_cpu::sync_warp();
#else
    __syncwarp(full_mask);
#endif
}

// The value of the lane whose number differs by `mask`. T of 4 or 8 bytes.
template <class T>
__device__ inline T shuffle_xor(T value, int mask) {
#ifdef SOLARD_CUDA_ON_CPU
    return cuda_on_cpu::shuffle_xor(value, mask);
#else
    return __shfl_xor_sync(full_mask, value, mask);
#endif
}

// The value of lane `lane`.
template <class T>
__device__ inline T shuffle(T value, int lane) {
#ifdef SOLARD_CUDA_ON_CPU
    return cuda_on_cpu::shuffle(value, lane);
#else
    return __shfl_sync(full_mask, value, lane);
#endif
}

// The value of the lane `delta` below; lanes below `delta` keep their own.
template <class T>
__device__ inline T shuffle_up(T value, unsigned delta) {
#ifdef SOLARD_CUDA_ON_CPU
    return cuda_on_cpu::shuffle_up(value, delta);
#else
    return __shfl_up_sync(full_mask, value, delta);
#endif
}

// Bit i: the predicate of lane i.
__device__ inline std::uint32_t ballot(bool predicate) {
#ifdef SOLARD_CUDA_ON_CPU
    return cuda_on_cpu::ballot(predicate);
#else
    return __ballot_sync(full_mask, predicate);
#endif
}

// ex2.approx: 2^x within 2 units in the last place, subnormal results are 0; 2^-inf = 0.
__device__ inline float exp2_approx(float x) {
#ifdef SOLARD_CUDA_ON_CPU
    return std::exp2(x);
#else
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(result) : "f"(x));
    return result;
#endif
}

}  // namespace solard::cuda
