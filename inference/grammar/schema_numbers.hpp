// Which numbers a JSON Schema allows.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace solard {

// Returns the number that a keyword has, or nothing if the schema does not have the keyword.
std::optional<double> number_of(const boost::json::object& schema, std::string_view keyword);

// Returns why an answer cannot be held to the schema's bounds of numbers and to `multipleOf`, or nothing. The
// keywords must be known ones, with values of the right type; `place` is where the schema stands.
std::optional<std::string> why_numbers_not_supported(const boost::json::object& schema,
                                                     const std::string& place);

}  // namespace solard
