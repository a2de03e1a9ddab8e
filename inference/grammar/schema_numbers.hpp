// Which numbers a JSON Schema allows.
#pragma once

#include <boost/json/object.hpp>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace solard {

// Returns the number that a keyword has, or nothing if the schema does not have the keyword.
std::optional<double> number_of(const boost::json::object& schema, std::string_view keyword);

struct NumberRange {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool excludes_low = false;
    bool excludes_high = false;
    bool is_empty() const { return low > high || (low == high && (excludes_low || excludes_high)); }
};

// Returns the range between the schema's bounds. If `is_whole` is true, its ends are whole numbers, which
// belong to it.
NumberRange range_of(const boost::json::object& schema, bool is_whole);

// Returns why an answer cannot be held to the schema's bounds of numbers and to `multipleOf`, or nothing. The
// keywords must be known ones, with values of the right type; `place` is where the schema stands.
std::optional<std::string> why_numbers_not_supported(const boost::json::object& schema,
                                                     const std::string& place);

}  // namespace solard
