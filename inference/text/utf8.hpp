// Checks and counts UTF-8 text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace solard {

// Returns a copy of `bytes` in which everything that is not UTF-8 is replaced by U+FFFD, in the same way as
// in Detokenizer.
std::string valid_utf8(std::string_view bytes);

// Returns the number of characters which begin in `bytes`.
std::size_t count_characters(std::string_view bytes);

// Returns the offset of the first byte that does not belong to valid UTF-8, or std::string_view::npos.
std::size_t find_invalid_utf8(std::string_view bytes);

// Removes the first character from `text`, which must be valid UTF-8 and not empty, and returns its code
// point.
char32_t take_character(std::string_view& text);

// Returns the text without the byte order mark which some editors write at its beginning.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace solard
