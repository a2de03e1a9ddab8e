// Reads and writes JSON. The reader is stricter than Boost.JSON.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

// Refuses duplicate keys, numbers which are not finite, more than 32 levels of nesting and invalid UTF-8. The
// escape of a surrogate that is not part of a pair becomes U+FFFD, and a byte order mark is skipped. Errors:
// invalid_json, which says where and why the text is not JSON.
result<boost::json::value> parse_json(std::string_view text);

// Appends `text`, which must be valid UTF-8, as a JSON string.
void append_json_string(std::string& out, std::string_view text);
// Appends `text`, which may be a part of a string, as the characters of a JSON string without quotation
// marks.
void append_json_characters(std::string& out, std::string_view text);
void append_json_number(std::string& out, std::int64_t value);
void append_json_number(std::string& out, std::uint64_t value);
// Appends the shortest form which reads back as the same number. `value` must be finite.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);

// Appends the two hexadecimal digits of a byte.
void append_hex(std::string& out, char byte);

}  // namespace solard::server
