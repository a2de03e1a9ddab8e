#include "inference/cpu/arena.hpp"

#include <sys/mman.h>

#include <new>
#include <stdexcept>

namespace solard {

Arena::Arena(std::size_t bytes) : size_(bytes == 0 ? alignment : bytes) {
    void* const memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte*>(memory);
    // The result is ignored: a kernel without transparent huge pages refuses this call, and the arena works
    // with small pages too.
    (void)madvise(base_, size_, MADV_HUGEPAGE);
}

Arena::~Arena() {
    munmap(base_, size_);
}

void* Arena::take_bytes(std::size_t bytes) {
    if (bytes > size_ - used_) throw std::logic_error("the arena is too small");
    void* const piece = base_ + used_;
    used_ += bytes;
    return piece;
}

}  // namespace solard
