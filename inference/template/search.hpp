// Searches a text in a time that is bounded by the steps which it charges.
#pragma once

#include <cstddef>
#include <string_view>

#include "inference/template/runtime.hpp"

namespace solard::jinja {

// Returns the offset of the first `part` from `begin` on, or std::string_view::npos.
std::size_t find_text(Runtime& runtime, std::string_view text, std::string_view part, std::size_t begin = 0);
// Returns the offset of the last `part`, or std::string_view::npos.
std::size_t find_last_text(Runtime& runtime, std::string_view text, std::string_view part);

}  // namespace solard::jinja
