// The filter `tojson`.
#pragma once

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Writes a value as Python's json.dumps() does, with the arguments of the filter in transformers: indent,
// ensure_ascii (false by default), separators, sort_keys.
Value to_json(Runtime& runtime, const Value& value, const Arguments& arguments);

}  // namespace solard::jinja
