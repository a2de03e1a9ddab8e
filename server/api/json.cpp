#include "server/api/json.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <charconv>
#include <cmath>

#include "inference/model/json_file.hpp"
#include "server/config/shown.hpp"
#include "server/config/text.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

// Returns false if the value contains infinity. Boost.JSON reads a number that is too large, such as 1e400,
// as infinity and reports no error.
bool all_finite(const json::value& value) {
    if (const auto* number = value.if_double()) return std::isfinite(*number);
    if (const auto* array = value.if_array()) return std::ranges::all_of(*array, all_finite);
    if (const auto* object = value.if_object())
        return std::ranges::all_of(*object, [](const auto& member) { return all_finite(member.value()); });
    return true;
}

template <class Number>
void append_shortest(std::string& out, Number value) {
    std::array<char, 32> text{};
    out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

}  // namespace

result<json::value> parse_json(std::string_view text) {
    json::error_code ec;
    json::value value = json::parse(text, ec);
    if (ec) return Error{errc::invalid_json, "The request is not valid JSON: " + ec.message() + "."};
    if (!all_finite(value))
        return Error{errc::invalid_json,
                     "The request contains a number which is too large for a 64-bit float."};
    if (const auto key = find_duplicate_key(text)) {
        return Error{errc::invalid_json,
                     "The request contains the key '" + shown(*key) + "' twice in one object.", shown(*key)};
    }
    return value;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    append_json_characters(out, text);
    out += '"';
}

void append_json_characters(std::string& out, std::string_view text) {
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    out += "\\u00";
                    append_hex(out, c);
                } else {
                    out += c;
                }
        }
    }
}

void append_json_number(std::string& out, std::int64_t value) {
    append_shortest(out, value);
}

void append_json_number(std::string& out, std::uint64_t value) {
    append_shortest(out, value);
}

void append_json_number(std::string& out, double value) {
    append_shortest(out, value);
}

void append_json_number(std::string& out, float value) {
    append_shortest(out, value);
}

void append_hex(std::string& out, char byte) {
    out += hex_digits[static_cast<unsigned char>(byte) >> 4];
    out += hex_digits[static_cast<unsigned char>(byte) & 15];
}

}  // namespace solard::server
