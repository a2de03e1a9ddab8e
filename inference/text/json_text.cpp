#include "inference/text/json_text.hpp"

#include <algorithm>
#include <boost/json/error.hpp>
#include <boost/json/parser.hpp>

#include "inference/text/utf8.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::size_t max_shown_bytes = 16;

std::string hexadecimal(unsigned char byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    return {'0', 'x', digits[byte >> 4], digits[byte & 15]};
}

// Returns the word or the single character at the beginning of `rest`.
std::string_view first_word(std::string_view rest) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    const auto end = std::ranges::find_if_not(rest.substr(0, max_shown_bytes), is_letter);
    const auto size = static_cast<std::size_t>(end - rest.begin());
    return rest.substr(0, std::max<std::size_t>(size, 1));
}

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Returns the size of the UTF-8 sequence at the beginning of `text`, which may be broken.
std::size_t sequence_size(std::string_view text) {
    std::size_t size = 1;
    while (size < std::min<std::size_t>(4, text.size()) && is_continuation(text[size])) ++size;
    return size;
}

// Returns what stands at `offset`, where the parser has stopped.
std::string found_at(std::string_view text, std::size_t offset, json::error_code ec) {
    if (ec == json::error::too_deep) return "lists and objects are nested too deeply (more than 32 levels)";
    if (ec == json::error::illegal_leading_surrogate || ec == json::error::illegal_trailing_surrogate)
        return "found one half of a surrogate pair without the other half";
    if (offset >= text.size()) return "the text ends too early";
    if (text.starts_with("\x1F\x8B")) return "the text is compressed with gzip";
    const std::string_view rest = text.substr(offset);
    const auto byte = static_cast<unsigned char>(rest.front());
    if (byte < 0x20) return "found the control character " + hexadecimal(byte);
    if (byte < 0x80) return "found '" + std::string(first_word(rest)) + "'";
    const std::string_view rest_of_character = rest.substr(0, sequence_size(rest));
    if (valid_utf8(rest_of_character) != rest_of_character)
        return "found the byte " + hexadecimal(byte) + ", which is not valid UTF-8";
    return "found '" + std::string(rest_of_character) + "'";
}

std::string place_of(std::string_view text, std::size_t offset, std::size_t first_byte) {
    const std::string_view before = text.substr(0, offset);
    const auto line = std::ranges::count(before, '\n') + 1;
    const auto last_break = before.rfind('\n');
    const std::string_view in_line =
        last_break == std::string_view::npos ? before : before.substr(last_break + 1);
    return " at line " + std::to_string(line) + ", column " + std::to_string(count_characters(in_line) + 1) +
           " (byte " + std::to_string(first_byte + offset) + ")";
}

}  // namespace

JsonText parse_json_text(std::string_view text, std::size_t first_byte) {
    json::parser parser;
    json::error_code ec;
    const std::size_t end = parser.write_some(text.data(), text.size(), ec);
    if (!ec && end == text.size()) return {parser.release(), {}};
    // The parser waits for more bytes if a broken character stands close to the end of the text.
    const std::size_t offset = std::min(end, find_invalid_utf8(text));
    return {{}, place_of(text, offset, first_byte) + ": " + found_at(text, offset, ec)};
}

}  // namespace solard
