// Conversions of values to text.
#pragma once

#include <string>
#include <string_view>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Returns what Python calls the type of the value, such as "str", for messages of errors.
std::string_view type_name(const Value& value);

// Returns the value as it is printed: Python's str(). A text keeps its marks; all characters which are made
// from other values are untrusted. The reference is valid until the rendering ends.
const MarkedText& to_text(Runtime& runtime, const Value& value);

// Returns the shortest decimal that reads back as the same number, in Python's form.
std::string number_text(double number);
std::string number_text(std::int64_t number);

}  // namespace solard::jinja
