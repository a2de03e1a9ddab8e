// The methods of strings and dictionaries.
#pragma once

#include <optional>
#include <string_view>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Returns the method `name` of the object as a function, or no value if Python has no such method. A method
// that is not supported, or that would change the object, is a function which fails when it is called.
std::optional<Value> bind_method(Runtime& runtime, const Value& object, std::string_view name);

}  // namespace solard::jinja
