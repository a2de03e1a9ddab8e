// The table of tests, which stand after `is`.
#pragma once

#include <string_view>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Applies the test `name`. Throws a Failure if there is no such test.
bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments);

}  // namespace solard::jinja
