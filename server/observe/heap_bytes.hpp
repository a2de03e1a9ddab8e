// Computes how many bytes of the heap an object holds, as the allocator of glibc counts them, and frees this
// memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace solard::server {

// Returns the size of the heap block for an allocation of `bytes` bytes: 8 bytes are added for the allocator,
// and the sum is rounded up to a multiple of 16, but to at least 32.
constexpr std::size_t heap_block(std::size_t bytes) {
    return bytes == 0 ? 0 : std::max<std::size_t>(32, (bytes + 8 + 15) & ~std::size_t{15});
}

// Both functions return the size of the heap blocks that the object itself holds. For a vector, blocks that
// its elements hold are not included.
inline std::size_t heap_bytes(const std::string& text) {
    static const std::size_t inline_capacity = std::string().capacity();
    return text.capacity() > inline_capacity ? heap_block(text.capacity() + 1) : 0;
}
template <class Element>
std::size_t heap_bytes(const std::vector<Element>& elements) {
    return heap_block(elements.capacity() * sizeof(Element));
}

// Empties a string or vector and frees its memory. An assignment of {} would keep the memory.
template <class Container>
void release(Container& container) {
    Container().swap(container);
}

}  // namespace solard::server
