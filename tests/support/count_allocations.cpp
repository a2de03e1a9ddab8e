#include "tests/support/count_allocations.hpp"

#include <cstdlib>
#include <new>

namespace {
thread_local std::uint64_t count = 0;
}

namespace solard {
std::uint64_t num_allocations() {
    return count;
}
}  // namespace solard

// Replaced for the whole executable; in a file of their own, since GCC warns of a mismatch where it inlines
// them.
void* operator new(std::size_t size) {
    ++count;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
// AddressSanitizer brings its own nothrow form, which must not meet our delete.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++count;
    return std::malloc(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
