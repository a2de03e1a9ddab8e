// One wrapper for each device operation that standard C++ cannot express. No other file in cuda/ uses inline
// PTX, warp builtins or matrix instructions, or declares dynamic shared memory. All lanes of a warp must call
// a warp-wide operation together.
//
// Fragment layouts are those of the PTX ISA, "Matrix fragments for mma.m16n8k16" and "ldmatrix". The emulator
// has a file of the same name, tests/cuda/emulator/include/cuda/ptx.cuh, which contains the same functions
// with scalar bodies. The emulator's include path finds that file first.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace solard::cuda {

inline constexpr int warp_size = 32;
inline constexpr std::uint32_t full_mask = 0xffffffff;

namespace detail {
__device__ inline std::uint32_t shared_address(const void* pointer) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}
}  // namespace detail

// Returns the block's dynamic shared memory, aligned to 128 bytes.
template <class T>
__device__ inline T* dynamic_shared() {
    extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[];
    return reinterpret_cast<T*>(dynamic_shared_bytes);
}

// The functions below take an address in shared memory as a base and an offset in bytes, because the sum is
// then computed in 32 bits, and the constant part of the offset takes no register.

// ldmatrix.x4: loads four 8x8 matrices of 16-bit elements from shared memory. Lane i passes the address of
// row i % 8 of matrix i / 8. A row has 16 bytes and must be aligned to 16 bytes. Lane i receives in r[m] two
// elements of matrix m: element (i / 4, 2 * (i % 4)) in the low half and its right neighbour in the high
// half.
__device__ inline void load_matrix_x4(std::uint32_t (&r)[4], const void* base, std::uint32_t offset) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(detail::shared_address(base) + offset)
                 : "memory");
}

// ldmatrix.x4.trans: does the same as ldmatrix.x4, but transposes each matrix.
__device__ inline void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* base,
                                                 std::uint32_t offset) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(detail::shared_address(base) + offset)
                 : "memory");
}

// mma.m16n8k16: d[16, 8] += a[16, 16] b[16, 8] for T = __nv_bfloat16 or __half; sums are fp32.
// With g = lane / 4 and t = lane % 4, a lane holds these elements (row, column):
//   a[0] (g, 2t) a[1] (g + 8, 2t) a[2] (g, 2t + 8) a[3] (g + 8, 2t + 8), each with its right neighbour
//   b[0] (2t, g) b[1] (2t + 8, g), each with the element below
//   d[0] (g, 2t) d[1] (g, 2t + 1) d[2] (g + 8, 2t) d[3] (g + 8, 2t + 1)
template <class T>
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
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
}

// cp.async.cg: starts a copy of 16 bytes from global to shared memory. The copy bypasses the registers and
// the L1 cache. Both addresses must be aligned to 16 bytes. If !valid, zeros are written and `global` is not
// read. The copy belongs to the thread's open group of copies.
__device__ inline void copy_async_16(void* base, std::uint32_t offset, const void* global, bool valid) {
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(detail::shared_address(base) + offset),
        "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
        : "memory");
}

// Closes the thread's group of copies and opens the next.
__device__ inline void copy_async_commit() {
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

// Waits until at most `pending` of the thread's closed groups are unfinished. Only the thread's own copies
// are waited for. Before a thread reads data that other threads have copied, all threads must call this
// function and then pass a barrier.
template <int pending>
__device__ inline void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory");
}

// __syncwarp: after the call, every lane sees what all lanes of the warp wrote to memory before the call.
__device__ inline void sync_warp() {
    __syncwarp(full_mask);
}

// Returns the value of lane number (own lane number XOR `mask`). T has 4 or 8 bytes.
template <class T>
__device__ inline T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(full_mask, value, mask);
}

// Returns the value of lane number `lane`.
template <class T>
__device__ inline T shuffle(T value, int lane) {
    return __shfl_sync(full_mask, value, lane);
}

// Returns the value of lane number (own lane number - `delta`). If this number is negative, the lane gets its
// own value.
template <class T>
__device__ inline T shuffle_up(T value, unsigned delta) {
    return __shfl_up_sync(full_mask, value, delta);
}

// Returns 32 bits, in which bit i is the predicate of lane i.
__device__ inline std::uint32_t ballot(bool predicate) {
    return __ballot_sync(full_mask, predicate);
}

// ex2.approx: returns 2^x within 2 units in the last place. Subnormal results are 0, and 2^-inf = 0.
__device__ inline float exp2_approx(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(result) : "f"(x));
    return result;
}

}  // namespace solard::cuda
