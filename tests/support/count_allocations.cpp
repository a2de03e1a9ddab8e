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

// These operators replace the standard ones in the whole executable. They have a file of their own, because
// GCC warns of a mismatched new and delete when it can inline these operators.
void* operator new(std::size_t size) {
    ++count;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
// AddressSanitizer would provide its own nothrow new, but the delete below must not get memory from
// AddressSanitizer. Therefore nothrow new is replaced too.
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
