// Strict JSON in, plain JSON out. What Boost.JSON lets pass and the API does not is refused here.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

// Refuses duplicate keys, numbers that are not finite, nesting deeper than 32 and invalid UTF-8. Errors:
// invalid_json.
result<boost::json::value> parse_json(std::string_view text);

// Appends `text`, which is valid UTF-8, as a JSON string.
void append_json_string(std::string& out, std::string_view text);
void append_json_number(std::string& out, std::int64_t value);
void append_json_number(std::string& out, std::uint64_t value);
// Shortest form that reads back as the same number; `value` is finite.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);

}  // namespace solard::server
