// One anonymous mapping in huge pages, handed out from front to back and freed as a whole.
#pragma once

#include <cstddef>
#include <span>

#include "inference/sizes.hpp"

namespace solard {

// Unlike a file mapping, anonymous memory can have huge pages, which make reading weights up to twice as
// fast.
class Arena {
  public:
    // Throws std::bad_alloc.
    explicit Arena(std::size_t bytes);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // Returns the number of bytes that take<T>(count) uses, including alignment.
    template <class T>
    static constexpr std::size_t footprint(std::size_t count) {
        return round_up(count * sizeof(T), alignment);
    }

    // Returns memory that is zeroed and aligned to a cache line. Throws std::logic_error if the arena is too
    // small.
    template <class T>
    std::span<T> take(std::size_t count) {
        return {static_cast<T*>(take_bytes(footprint<T>(count))), count};
    }

  private:
    static constexpr std::size_t alignment = 64;
    void* take_bytes(std::size_t bytes);

    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
    std::size_t used_ = 0;
};

}  // namespace solard
