// The table of filters.
#pragma once

#include <span>
#include <string_view>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Applies the filter `name`. Throws a Failure if there is no such filter.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& input, const Arguments& arguments);
bool is_filter(std::string_view name);

struct FilterRow {
    std::string_view name;
    Value (*apply)(Runtime&, const Value& input, const Arguments&);
};
// The rows of text_filters.cpp and sequence_filters.cpp.
std::span<const FilterRow> text_filters();
std::span<const FilterRow> sequence_filters();

}  // namespace solard::jinja
