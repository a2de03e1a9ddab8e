// JSON as values of a template.
#pragma once

#include <boost/json/value.hpp>

#include "inference/template/runtime.hpp"
#include "inference/text/marked_text.hpp"

namespace solard::jinja {

// Copies a JSON value. Its strings and the names in its objects get the mark `trust`.
Value from_json(Runtime& runtime, const boost::json::value& json, Trust trust);

}  // namespace solard::jinja
