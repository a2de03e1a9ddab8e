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

}  // namespace solard
