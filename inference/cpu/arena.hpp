// One anonymous mapping in huge pages, handed out front to back and never given back piecewise.
#pragma once

#include <cstddef>
#include <span>

#include "inference/sizes.hpp"

namespace solard {

// A file mapping cannot have huge pages; anonymous memory can, and reading weights is up to twice as fast.
class Arena {
  public:
    // Throws std::bad_alloc.
    explicit Arena(std::size_t bytes);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // What take<T>(count) uses up, alignment included.
    template <class T>
    static constexpr std::size_t footprint(std::size_t count) {
        return round_up(count * sizeof(T), alignment);
    }

    // Zeroed and aligned to a cache line. Throws std::logic_error when the arena was planned too small.
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
