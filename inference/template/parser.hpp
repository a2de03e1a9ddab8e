// Parses a template.
#pragma once

#include <string_view>

#include "inference/template/limits.hpp"
#include "inference/template/syntax.hpp"

namespace solard::jinja {

// Returns the syntax tree of a normalized source. Throws a PlacedFailure. Tags that load other templates
// (include, extends, import, block) are refused.
SyntaxTree parse_template(std::string_view source, const Limits& limits);

}  // namespace solard::jinja
