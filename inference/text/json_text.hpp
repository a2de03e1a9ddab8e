// Parses JSON, and says where and why a text is not JSON. Quotes names in messages.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace solard {

struct JsonText {
    boost::json::value value;
    // Empty if the text is valid JSON. Otherwise a clause that continues "is not valid JSON", such as
    // " at line 2, column 9 (byte 17): found 'NaN'".
    std::string problem;
};

// Parses a text that must consist of one JSON value. In the problem, columns count characters, bytes are
// counted from `first_byte`, and at most 16 bytes of the text are repeated.
JsonText parse_json_text(std::string_view text, std::size_t first_byte = 0);

// Valid JSON that two programs may read differently.
struct JsonFlaw {
    // A key that appears twice in one object; nullopt: a number is too large for a 64-bit float.
    std::optional<std::string> duplicate_key;
    std::string place;  // of the second key or the number, such as " at line 2, column 9 (byte 17)"
};

// Returns the first flaw of `text`, which must be valid JSON, or nothing. Counts as parse_json_text() does.
std::optional<JsonFlaw> find_json_flaw(std::string_view text, std::size_t first_byte = 0);

// Returns `text` as a JSON string literal, so that a name from a file stays on one line. A long text is cut.
std::string quoted_name(std::string_view text);

}  // namespace solard
