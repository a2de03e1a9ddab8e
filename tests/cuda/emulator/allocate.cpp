#include "tests/cuda/emulator/allocate.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace cuda_emulator {

#ifdef SOLARD_CUDA_RACE_CHECK

namespace {

constexpr std::size_t page = 4096;

// Returns the size of the whole mapping: a page that stores the number `bytes`, the pages of the memory, and
// a page after them.
std::size_t mapped_bytes(std::size_t bytes) {
    return page + (bytes + page - 1) / page * page + page;
}

}  // namespace

void* allocate(std::size_t bytes) {
    void* const mapping =
        mmap(nullptr, mapped_bytes(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return nullptr;
    std::memcpy(mapping, &bytes, sizeof(bytes));
    return std::memset(static_cast<std::byte*>(mapping) + page, 0xff, bytes);
}

void release(void* memory) {
    if (memory == nullptr) return;
    std::byte* const mapping = static_cast<std::byte*>(memory) - page;
    std::size_t bytes = 0;
    std::memcpy(&bytes, mapping, sizeof(bytes));
    munmap(mapping, mapped_bytes(bytes));
}

#else

void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 256, bytes) != 0) return nullptr;
    return std::memset(memory, 0xff, bytes);
}

void release(void* memory) {
    std::free(memory);
}

#endif

}  // namespace cuda_emulator
