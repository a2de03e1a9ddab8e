#include "tests/cuda/emulator/collectives.hpp"

#include <bit>
#include <string>

#include "tests/cuda/emulator/block_executor.hpp"
#include "tests/cuda/emulator/launch.hpp"
#include "tests/cuda/emulator/race_checker.hpp"
#include "tests/cuda/emulator/schedule.hpp"

namespace cuda_emulator {
namespace {

constexpr std::size_t lanes = 32;
using Arguments = std::array<void*, lanes>;

template <class T>
T& of_lane(const Arguments& arguments, std::size_t lane) {
    return *static_cast<T*>(arguments[lane]);
}

[[noreturn]] void fail(const char* what, const Where& where) {
    const Unchecked own;
    throw KernelFault(std::string(what) + " at " + where.file_name() + ":" + std::to_string(where.line()) +
                      ", thread " + std::to_string(this_thread().index));
}

// ---- shuffles

void shuffle_operation(const Arguments& arguments) {
    std::array<std::uint64_t, lanes> values{};
    for (std::size_t i = 0; i < lanes; ++i) values[i] = of_lane<detail::ShuffleArguments>(arguments, i).value;
    for (std::size_t i = 0; i < lanes; ++i) {
        auto& own = of_lane<detail::ShuffleArguments>(arguments, i);
        own.value = values[static_cast<std::size_t>(own.source) % lanes];
    }
}

struct BallotArguments {
    bool predicate = false;
    std::uint32_t result = 0;
};

void ballot_operation(const Arguments& arguments) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < lanes; ++i) {
        bits |= of_lane<BallotArguments>(arguments, i).predicate ? 1U << i : 0U;
    }
    for (std::size_t i = 0; i < lanes; ++i) of_lane<BallotArguments>(arguments, i).result = bits;
}

void sync_operation(const Arguments&) {}

// ---- ldmatrix

struct LoadArguments {
    const std::uint16_t* row = nullptr;
    std::uint32_t* r = nullptr;  // [4]
};

// PTX ISA, "Warp-level matrix load instruction: ldmatrix": lane 8 m + r passes the address of row r of matrix
// m. From row i / 4 of each matrix, lane i receives element 2 (i % 4) and the element after it. With .trans,
// each matrix is transposed first.
template <bool transposed>
void load_operation(const Arguments& arguments) {
    for (std::size_t matrix = 0; matrix < 4; ++matrix) {
        const std::uint16_t* rows[8];
        for (std::size_t row = 0; row < 8; ++row) {
            rows[row] = of_lane<LoadArguments>(arguments, 8 * matrix + row).row;
        }
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const std::size_t first = lane / 4;
            const std::size_t second = lane % 4 * 2;
            const std::uint32_t low = transposed ? rows[second][first] : rows[first][second];
            const std::uint32_t high = transposed ? rows[second + 1][first] : rows[first][second + 1];
            of_lane<LoadArguments>(arguments, lane).r[matrix] = low | (high << 16);
        }
    }
}

template <bool transposed>
void load(std::uint32_t (&r)[4], const void* row, const Where& where) {
    check_shared(row, 16, 16, where);
    note_read(row, 16);
    LoadArguments arguments{.row = static_cast<const std::uint16_t*>(row), .r = r};
    meet_warp(&load_operation<transposed>, &arguments, where);
}

// ---- mma

struct MmaArguments {
    float* d = nullptr;
    const std::uint32_t* a = nullptr;
    const std::uint32_t* b = nullptr;
};

template <class T>
float to_float(std::uint32_t bits) {
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        return std::bit_cast<float>(bits << 16);
    } else {
        return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
    }
}

// PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type": g = lane / 4, t = lane % 4.
//   a: register r holds row g + 8 (r % 2), columns c and c + 1 with c = 2t + 8 (r / 2)
//   b: register r holds rows k and k + 1 with k = 2t + 8 r, column g
//   d: element i is at row g + 8 (i / 2), column 2t + i % 2
template <class T>
void mma_operation(const Arguments& arguments) {
    float a[16][16];
    float b[16][8];
    float d[16][8];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        const auto& own = of_lane<MmaArguments>(arguments, lane);
        const std::size_t g = lane / 4;
        const std::size_t t = lane % 4;
        for (std::size_t r = 0; r < 4; ++r) {
            a[g + 8 * (r % 2)][2 * t + 8 * (r / 2)] = to_float<T>(own.a[r] & 0xffff);
            a[g + 8 * (r % 2)][2 * t + 8 * (r / 2) + 1] = to_float<T>(own.a[r] >> 16);
        }
        for (std::size_t r = 0; r < 2; ++r) {
            b[2 * t + 8 * r][g] = to_float<T>(own.b[r] & 0xffff);
            b[2 * t + 8 * r + 1][g] = to_float<T>(own.b[r] >> 16);
        }
        for (std::size_t i = 0; i < 4; ++i) d[g + 8 * (i / 2)][2 * t + i % 2] = own.d[i];
    }
    for (std::size_t row = 0; row < 16; ++row) {
        for (std::size_t k = 0; k < 16; ++k) {
            for (std::size_t column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
        }
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        const auto& own = of_lane<MmaArguments>(arguments, lane);
        for (std::size_t i = 0; i < 4; ++i) own.d[i] = d[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
    }
}

// ---- cp.async

void carry_out(const PendingCopy& copy) {
    note_copy_end(copy.shared, 16);
    if (copy.valid) {
        note_read(copy.global, 16);
        std::memcpy(copy.shared, copy.global, 16);
    } else {
        std::memset(copy.shared, 0, 16);
    }
}

bool arrives_early(const ThreadState& thread) {
    switch (schedule().copy_time) {
        case CopyTime::early:
            return true;
        case CopyTime::late:
            return false;
        case CopyTime::mixed:
            break;
    }
    const std::uint64_t mixed =
        (schedule().seed + thread.index + 31 * thread.warp_epoch) * 0x9e3779b97f4a7c15;
    return (mixed >> 62) == 0;
}

}  // namespace

void sync_warp(const Where& where) {
    meet_warp(&sync_operation, nullptr, where);
    ++this_thread().warp_epoch;
}

void check_shared(const void* address, std::size_t bytes, std::size_t alignment, const Where& where) {
    const auto* const begin = static_cast<const std::byte*>(dynamic_shared());
    const auto* const byte = static_cast<const std::byte*>(address);
    if (byte < begin || byte + bytes > begin + dynamic_shared_size())
        fail("an access outside shared memory", where);
    // On a device, the address that dynamic_shared() returns is aligned to 128 bytes. So the offset alone
    // decides the alignment.
    if (static_cast<std::size_t>(byte - begin) % alignment != 0)
        fail("a misaligned access to shared memory", where);
}

void load_matrix_x4(std::uint32_t (&r)[4], const void* row, const Where& where) {
    load<false>(r, row, where);
}
void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* row, const Where& where) {
    load<true>(r, row, where);
}

template <class T>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  const Where& where) {
    MmaArguments arguments{.d = d, .a = a, .b = b};
    meet_warp(&mma_operation<T>, &arguments, where);
}
template void mma_m16n8k16<__nv_bfloat16>(float (&)[4], const std::uint32_t (&)[4],
                                          const std::uint32_t (&)[2], const Where&);
template void mma_m16n8k16<__half>(float (&)[4], const std::uint32_t (&)[4], const std::uint32_t (&)[2],
                                   const Where&);

void copy_async_16(void* shared, const void* global, bool valid, const Where& where) {
    check_shared(shared, 16, 16, where);
    if (valid && std::bit_cast<std::uintptr_t>(global) % 16 != 0)
        fail("a misaligned source of cp.async", where);
    ThreadState& thread = this_thread();
    const PendingCopy copy{.shared = shared, .global = global, .valid = valid};
    note_copy_begin(shared, 16);
    if (arrives_early(thread)) return carry_out(copy);
    thread.copies.push_back(copy);
    ++thread.open_copies;
}

void copy_async_commit() {
    ThreadState& thread = this_thread();
    thread.group_sizes.push_back(thread.open_copies);
    thread.open_copies = 0;
}

void copy_async_wait(int pending_groups) {
    ThreadState& thread = this_thread();
    while (thread.group_sizes.size() > static_cast<std::size_t>(pending_groups)) {
        const auto size = static_cast<std::ptrdiff_t>(thread.group_sizes.front());
        for (std::ptrdiff_t i = 0; i < size; ++i) carry_out(thread.copies[static_cast<std::size_t>(i)]);
        thread.copies.erase(thread.copies.begin(), thread.copies.begin() + size);
        thread.group_sizes.erase(thread.group_sizes.begin());
    }
}

std::uint64_t detail::shuffle_bits(std::uint64_t value, int source, const Where& where) {
    ShuffleArguments arguments{.value = value, .source = source};
    meet_warp(&shuffle_operation, &arguments, where);
    return arguments.value;
}

int detail::lane() {
    return static_cast<int>(this_thread().index % lanes);
}

std::uint32_t ballot(bool predicate, const Where& where) {
    BallotArguments arguments{.predicate = predicate};
    meet_warp(&ballot_operation, &arguments, where);
    return arguments.result;
}

void read_atomic(void* to, const void* address, std::size_t bytes) {
    note_atomic(address, bytes);
    std::memcpy(to, address, bytes);
}
void write_atomic(void* address, const void* from, std::size_t bytes) {
    std::memcpy(address, from, bytes);
}

}  // namespace cuda_emulator
