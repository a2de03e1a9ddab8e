// Kernels of the race build are compiled with -fsanitize=thread, so that g++ inserts a call at every access.
// This file defines the called functions instead of the sanitizer's run-time library. Every byte of memory
// has one shadow cell, which says which threads wrote and read the byte last, and when.
#include "tests/cuda/emulator/race_checker.hpp"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/cuda/emulator/block_executor.hpp"
#include "tests/cuda/emulator/collectives.hpp"

namespace cuda_emulator {
namespace {

// Says when and by which thread a byte was accessed. An object has only 8 bytes, because the checker stores
// three objects for every byte of the device. Block 0 means that there was no access.
struct Access {
    std::uint32_t block = 0;  // number of the block among all blocks that ever ran
    std::uint32_t thread : 10 = 0;
    std::uint32_t block_epoch : 11 = 0;
    std::uint32_t warp_epoch : 10 = 0;
    std::uint32_t atomic : 1 = 0;
};

struct Cell {
    Access writer;
    Access reader;             // the last read
    Access other_reader;       // the last read by a thread with another number in its block
    std::uint32_t during = 0;  // number of the launch (shared memory: of the block) that made the accesses
    bool initialised = false;
    bool copy_in_flight = false;
};

struct Free {
    void operator()(Cell* cells) const { std::free(cells); }
};

struct Region {
    std::size_t bytes = 0;
    bool shared = false;  // true for the shared memory of a block
    std::unique_ptr<Cell[], Free> cells;
};

std::map<std::uintptr_t, Region>& regions() {
    static std::map<std::uintptr_t, Region> all;
    return all;
}

// The region of the last access. The next access is likely to be in the same region.
struct {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    Cell* cells = nullptr;
    bool shared = false;
} recent;

std::uintptr_t number(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address);
}

Cell* find(std::uintptr_t address) {
    if (address >= recent.begin && address < recent.end) return recent.cells + (address - recent.begin);
    auto after = regions().upper_bound(address);
    if (after == regions().begin()) return nullptr;
    auto& [begin, region] = *--after;
    if (address >= begin + region.bytes) return nullptr;
    recent = {begin, begin + region.bytes, region.cells.get(), region.shared};
    return region.cells.get() + (address - begin);
}

Access now(bool atomic) {
    const ThreadState& thread = this_thread();
    return {.block = static_cast<std::uint32_t>(block_number()),
            .thread = thread.index & 0x3ff,
            .block_epoch = block_epoch() & 0x7ff,
            .warp_epoch = thread.warp_epoch & 0x3ff,
            .atomic = atomic ? 1U : 0U};
}

// Returns whether `before` certainly happens before `after`: the same thread makes both accesses, or a
// barrier of the block or of the warp lies between them.
bool ordered(const Access& before, const Access& after) {
    if (before.block == 0) return true;
    if (before.block != after.block) return false;  // the blocks of a launch run in no defined order
    if (before.thread == after.thread || before.block_epoch != after.block_epoch) return true;
    return before.thread / 32 == after.thread / 32 && before.warp_epoch != after.warp_epoch;
}

[[noreturn]] void report(const std::string& what, std::uintptr_t address, const Access& access) {
    stop_kernel("race checker: " + what + " at byte " + std::to_string(address - recent.begin) + " of " +
                std::to_string(recent.end - recent.begin) + ", thread " + std::to_string(access.thread) +
                " of block " + std::to_string(access.block));
}

// Forgets the accesses of earlier launches and, in shared memory, the accesses of earlier blocks.
void bring_up_to_date(Cell& cell) {
    const auto during = static_cast<std::uint32_t>(recent.shared ? block_number() : launch_number());
    if (cell.during == during) return;
    cell.during = during;
    cell.writer = {};
    cell.reader = {};
    cell.other_reader = {};
    if (!recent.shared) return;
    cell.initialised = false;
    cell.copy_in_flight = false;
}

// Returns whether the address is at most a page after the end of a region. A kernel must not read such an
// address.
bool is_past_an_end(std::uintptr_t address) {
    auto after = regions().upper_bound(address);
    if (after == regions().begin()) return false;
    const auto& [begin, region] = *--after;
    return address < begin + region.bytes + 4096;
}

void read_byte(std::uintptr_t address, bool atomic) {
    Cell* const cell = find(address);
    const Access access = now(atomic);
    if (cell == nullptr) {
        if (is_past_an_end(address)) report("read past the end of memory", address, access);
        return;  // the address belongs to a constant of the host
    }
    bring_up_to_date(*cell);
    if (cell->copy_in_flight) report("read of bytes that cp.async may still write", address, access);
    if (!cell->initialised) report("read of uninitialised memory", address, access);
    const bool both_atomic = atomic && cell->writer.atomic != 0;
    if (!both_atomic && !ordered(cell->writer, access)) report("read races with a write", address, access);
    if (cell->reader.thread != access.thread) cell->other_reader = cell->reader;
    cell->reader = access;
}

void write_byte(std::uintptr_t address, bool atomic) {
    Cell* const cell = find(address);
    const Access access = now(atomic);
    if (cell == nullptr) report("write outside device and shared memory", address, access);
    bring_up_to_date(*cell);
    const auto conflicts = [&](const Access& before) {
        return !(atomic && before.atomic != 0) && !ordered(before, access);
    };
    if (conflicts(cell->writer)) report("write races with a write", address, access);
    if (conflicts(cell->reader) || conflicts(cell->other_reader))
        report("write races with a read", address, access);
    cell->writer = access;
    cell->initialised = true;
}

void read(const void* address, std::size_t bytes) {
    if (!in_kernel() || Unchecked::depth > 0 || on_a_stack(address)) return;
    const Unchecked own;
    for (std::size_t i = 0; i < bytes; ++i) read_byte(number(address) + i, false);
}

void write(const void* address, std::size_t bytes) {
    if (!in_kernel() || Unchecked::depth > 0 || on_a_stack(address)) return;
    const Unchecked own;
    for (std::size_t i = 0; i < bytes; ++i) write_byte(number(address) + i, false);
}

}  // namespace

void note_memory(const void* address, std::size_t bytes, bool shared) {
    // calloc() provides zeros which take no memory until they are accessed.
    auto* const cells = static_cast<Cell*>(std::calloc(bytes, sizeof(Cell)));
    regions()[number(address)] = {bytes, shared, std::unique_ptr<Cell[], Free>(cells)};
    recent = {};
}

void note_no_memory(const void* address) {
    regions().erase(number(address));
    recent = {};
}

void note_host_write(const void* address, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (Cell* const cell = find(number(address) + i)) cell->initialised = true;
    }
}

void note_copy_begin(const void* shared, std::size_t bytes) {
    const Unchecked own;
    for (std::size_t i = 0; i < bytes; ++i) {
        write_byte(number(shared) + i, false);
        find(number(shared) + i)->copy_in_flight = true;
    }
}

void note_copy_end(const void* shared, std::size_t bytes) {
    const Unchecked own;
    for (std::size_t i = 0; i < bytes; ++i) {
        find(number(shared) + i)->copy_in_flight = false;
        write_byte(number(shared) + i, false);
    }
}

void note_read(const void* address, std::size_t bytes) {
    read(address, bytes);
}

void note_atomic(const void* address, std::size_t bytes) {
    const Unchecked own;
    for (std::size_t i = 0; i < bytes; ++i) {
        read_byte(number(address) + i, true);
        write_byte(number(address) + i, true);
    }
}

}  // namespace cuda_emulator

// The functions that g++ -fsanitize=thread calls.
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
#define SOLARD_HOOK(size)                              \
    void __tsan_read##size(void* address) {            \
        cuda_emulator::read(address, size);            \
    }                                                  \
    void __tsan_write##size(void* address) {           \
        cuda_emulator::write(address, size);           \
    }                                                  \
    void __tsan_unaligned_read##size(void* address) {  \
        cuda_emulator::read(address, size);            \
    }                                                  \
    void __tsan_unaligned_write##size(void* address) { \
        cuda_emulator::write(address, size);           \
    }
SOLARD_HOOK(1)
SOLARD_HOOK(2)
SOLARD_HOOK(4)
SOLARD_HOOK(8)
SOLARD_HOOK(16)
#undef SOLARD_HOOK
void __tsan_read_range(void* address, std::size_t bytes) {
    cuda_emulator::read(address, bytes);
}
void __tsan_write_range(void* address, std::size_t bytes) {
    cuda_emulator::write(address, bytes);
}
}
