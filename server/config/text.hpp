// Helpers for text in ASCII.
#pragma once

#include <algorithm>
#include <cctype>
#include <string_view>

namespace solard::server {

inline constexpr std::string_view hex_digits = "0123456789abcdef";

// Compares two texts without regard to the case of ASCII letters.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(
        a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace solard::server
