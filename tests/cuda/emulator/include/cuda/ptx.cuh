// The emulator's version of cuda/ptx.cuh, with the same names. The contracts are written in the original
// file. The include path of the emulated kernels begins with tests/cuda/emulator/include, so that their
// `#include "cuda/ptx.cuh"` finds this file. `where` is the source line of the call; the text of a fault
// names this line.
#pragma once

#include <cmath>
#include <cstdint>

#include "tests/cuda/emulator/collectives.hpp"
#include "tests/cuda/emulator/launch.hpp"

namespace solard::cuda {

using Where = cuda_emulator::Where;

inline constexpr int warp_size = 32;
inline constexpr std::uint32_t full_mask = 0xffffffff;

template <class T>
T* dynamic_shared() {
    return static_cast<T*>(cuda_emulator::dynamic_shared());
}

inline void load_matrix_x4(std::uint32_t (&r)[4], const void* base, std::uint32_t offset,
                           const Where& where = Where::current()) {
    cuda_emulator::load_matrix_x4(r, static_cast<const unsigned char*>(base) + offset, where);
}

inline void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* base, std::uint32_t offset,
                                      const Where& where = Where::current()) {
    cuda_emulator::load_matrix_x4_transposed(r, static_cast<const unsigned char*>(base) + offset, where);
}

template <class T>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  const Where& where = Where::current()) {
    cuda_emulator::mma_m16n8k16<T>(d, a, b, where);
}

inline void copy_async_16(void* base, std::uint32_t offset, const void* global, bool valid,
                          const Where& where = Where::current()) {
    cuda_emulator::copy_async_16(static_cast<unsigned char*>(base) + offset, global, valid, where);
}

using cuda_emulator::copy_async_commit;

template <int pending>
void copy_async_wait() {
    cuda_emulator::copy_async_wait(pending);
}

using cuda_emulator::ballot;
using cuda_emulator::shuffle;
using cuda_emulator::shuffle_up;
using cuda_emulator::shuffle_xor;
using cuda_emulator::sync_warp;

inline float exp2_approx(float x) {
    return std::exp2(x);
}

}  // namespace solard::cuda
