#include "tests/support/count_allocations.hpp"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {
thread_local std::uint64_t count = 0;
thread_local std::int64_t in_use = 0;

// The size of a heap block in glibc is a multiple of 16 bytes, and the allocator uses 8 bytes of each block.
std::int64_t block_size(void* memory) {
    return memory == nullptr ? 0 : static_cast<std::int64_t>((malloc_usable_size(memory) + 8 + 15) / 16 * 16);
}
void* allocate(std::size_t size) {
    ++count;
    void* const memory = std::malloc(size);
    in_use += block_size(memory);
    return memory;
}
void deallocate(void* memory) {
    in_use -= block_size(memory);
    std::free(memory);
}
}  // namespace

namespace solard {
std::uint64_t num_allocations() {
    return count;
}
std::int64_t allocated_bytes() {
    return in_use;
}
}  // namespace solard

// These operators replace the standard ones in the whole executable. They have a file of their own, because
// GCC warns of a mismatched new and delete when it can inline these operators.
void* operator new(std::size_t size) {
    if (void* memory = allocate(size)) return memory;
    throw std::bad_alloc();
}
// AddressSanitizer would provide its own nothrow new, but the delete below must not get memory from
// AddressSanitizer. Therefore nothrow new is replaced too.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void operator delete(void* memory) noexcept {
    deallocate(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    deallocate(memory);
}
