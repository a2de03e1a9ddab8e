#include "server/api/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "inference/text/json_text.hpp"
#include "inference/text/utf8.hpp"
#include "server/config/shown.hpp"
#include "server/config/text.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

// Returns the code unit of the escape \uXXXX at `offset`, or nullopt if there is no such escape.
std::optional<unsigned> unicode_escape(std::string_view text, std::size_t offset) {
    if (text.size() < offset + 6 || text[offset] != '\\' || text[offset + 1] != 'u') return std::nullopt;
    unsigned unit = 0;
    const char* const begin = text.data() + offset + 2;
    const auto [end, ec] = std::from_chars(begin, begin + 4, unit, 16);
    if (ec != std::errc{} || end != begin + 4) return std::nullopt;
    return unit;
}

// Returns the JSON text with U+FFFD in place of every escape of a surrogate that is not part of a pair.
// JavaScript produces such escapes when it cuts a string in the middle of a character.
std::string without_lone_surrogates(std::string_view text) {
    constexpr std::size_t escape_size = 6;
    std::string out(text);
    for (std::size_t at = out.find('\\'); at != std::string::npos; at = out.find('\\', at)) {
        const unsigned unit = unicode_escape(out, at).value_or(0);
        const bool is_high = unit >= 0xD800 && unit < 0xDC00;
        const bool is_low = unit >= 0xDC00 && unit < 0xE000;
        if (!is_high && !is_low) {
            at += 2;  // also skips the second backslash of an escaped backslash
            continue;
        }
        const unsigned next = unicode_escape(out, at + escape_size).value_or(0);
        if (is_high && next >= 0xDC00 && next < 0xE000) {
            at += 2 * escape_size;
        } else {
            out.replace(at, escape_size, "\\ufffd");
            at += escape_size;
        }
    }
    return out;
}

template <class Number>
void append_shortest(std::string& out, Number value) {
    std::array<char, 32> text{};
    out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

}  // namespace

result<json::value> parse_json(std::string_view text) {
    const std::size_t whole_size = text.size();
    text = without_byte_order_mark(text);
    const std::size_t first_byte = whole_size - text.size();
    JsonText parsed = parse_json_text(text, first_byte);
    std::string repaired;
    if (!parsed.problem.empty()) {
        repaired = without_lone_surrogates(text);
        text = repaired;
        parsed = parse_json_text(text, first_byte);
    }
    if (!parsed.problem.empty())
        return Error{errc::invalid_json, "The request is not valid JSON" + parsed.problem + "."};
    if (const auto flaw = find_json_flaw(text, first_byte)) {
        if (!flaw->duplicate_key)
            return Error{
                errc::invalid_json,
                "The request contains a number which is too large for a 64-bit float" + flaw->place + "."};
        const std::string key = shown(*flaw->duplicate_key);
        return Error{errc::invalid_json,
                     "The request contains the key '" + key + "' twice in one object" + flaw->place + ".",
                     key};
    }
    return std::move(parsed.value);
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
