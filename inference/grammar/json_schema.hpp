// Which JSON Schemas an answer can be held to.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>

namespace solard {

// Returns what makes it impossible to hold an answer to the schema exactly, as a clause such as "\"not\" at
// #/items is not supported", or nothing if it is possible. Every keyword must be one that a grammar can
// enforce, or one that says nothing about the value. The size, the depth and the numbers in the schema are
// limited. What passes can still turn out to be too much work for the compiler.
std::optional<std::string> why_not_supported(const boost::json::value& schema);

// Returns the schema as JSON, without the keywords that say nothing about the value. `schema` must be one to
// which why_not_supported() has no objection.
std::string without_annotations(boost::json::value schema);

}  // namespace solard
