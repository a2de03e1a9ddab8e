// Arithmetic of sizes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace solard {

// Returns a count or index, which must not be negative, as the type that containers use.
constexpr std::size_t count_of(std::int32_t value) {
    return static_cast<std::size_t>(value);
}

// Returns how many pieces of `size` elements are needed for `count` elements.
template <class T>
constexpr T divide_up(T count, T size) {
    return (count + size - 1) / size;
}

// Returns the smallest multiple of `size` that is at least `count`.
template <class T>
constexpr T round_up(T count, T size) {
    return divide_up(count, size) * size;
}

}  // namespace solard
