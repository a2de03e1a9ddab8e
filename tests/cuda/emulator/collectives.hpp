// Operations that the threads of a warp or a block do together. In an operation of a warp, every lane stores
// its arguments and waits; the last lane to arrive computes the results of all lanes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>

namespace cuda_emulator {

using Where = std::source_location;

// Implements __syncthreads.
void sync_block(const Where& where);

// Computes one operation of a warp. `arguments[i]` is the pointer that lane i passed to meet_warp().
using WarpOperation = void (*)(const std::array<void*, 32>& arguments);
// Waits until all lanes have arrived. Fails if lanes arrive at different operations or lines of the code.
void meet_warp(WarpOperation operation, void* arguments, const Where& where);

// Implements __syncwarp. Unlike the other operations of a warp, __syncwarp also orders the lanes' accesses to
// memory.
void sync_warp(const Where& where = Where::current());

// Fails unless [address, address + bytes) is in the block's dynamic shared memory and aligned to `alignment`.
void check_shared(const void* address, std::size_t bytes, std::size_t alignment, const Where& where);

void load_matrix_x4(std::uint32_t (&r)[4], const void* row, const Where& where = Where::current());
void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* row, const Where& where = Where::current());

template <class T>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  const Where& where = Where::current());
extern template void mma_m16n8k16<__nv_bfloat16>(float (&)[4], const std::uint32_t (&)[4],
                                                 const std::uint32_t (&)[2], const Where&);
extern template void mma_m16n8k16<__half>(float (&)[4], const std::uint32_t (&)[4],
                                          const std::uint32_t (&)[2], const Where&);

void copy_async_16(void* shared, const void* global, bool valid, const Where& where = Where::current());
void copy_async_commit();
void copy_async_wait(int pending_groups);

namespace detail {

// The arguments of one lane: its value of 4 or 8 bytes, and the number of the lane whose value it receives.
struct ShuffleArguments {
    std::uint64_t value = 0;
    int source = 0;
};
std::uint64_t shuffle_bits(std::uint64_t value, int source, const Where& where);
int lane();

template <class T>
T shuffle_from(T value, int source, const Where& where) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = shuffle_bits(bits, source, where);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace detail

template <class T>
T shuffle(T value, int lane, const Where& where = Where::current()) {
    return detail::shuffle_from(value, lane, where);
}
template <class T>
T shuffle_xor(T value, int mask, const Where& where = Where::current()) {
    return detail::shuffle_from(value, detail::lane() ^ mask, where);
}
template <class T>
T shuffle_up(T value, unsigned delta, const Where& where = Where::current()) {
    const int source = detail::lane() - static_cast<int>(delta);
    return detail::shuffle_from(value, source < 0 ? detail::lane() : source, where);
}
std::uint32_t ballot(bool predicate, const Where& where = Where::current());

// These functions read and write 4 or 8 bytes. They are not inline, because in the race build g++ would treat
// an inlined access as an access that is not atomic.
void read_atomic(void* to, const void* address, std::size_t bytes);
void write_atomic(void* address, const void* from, std::size_t bytes);

// Replaces the value by change(value) and returns the old value. Only one thread runs at a time, so a read
// and a write suffice.
template <class T, class Change>
T atomically(T* address, const Change& change) {
    T old;
    read_atomic(&old, address, sizeof(T));
    const T changed = change(old);
    write_atomic(address, &changed, sizeof(T));
    return old;
}

}  // namespace cuda_emulator
