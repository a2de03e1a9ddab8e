#include "inference/text/json_text.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/error.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <unordered_set>
#include <vector>

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
    if (ec == json::error::exponent_overflow) return "the exponent of a number has too many digits";
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

// If a key appears twice, Boost.JSON silently keeps the last value, but another program may keep the first
// value. Boost.JSON reads a number that is too large, such as 1e400, as infinity. This handler of
// basic_parser looks only at keys and numbers, and fails at the first that is wrong.
class FlawFinder {
  public:
    using error_code = json::error_code;
    using string_view = json::string_view;
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    bool on_object_begin(error_code&) {
        objects_.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        objects_.pop_back();
        return true;
    }
    bool on_key_part(string_view part, std::size_t, error_code&) {
        key_.append(part.data(), part.size());
        return true;
    }
    bool on_key(string_view last_part, std::size_t, error_code& ec) {
        key_.append(last_part.data(), last_part.size());
        if (!objects_.back().insert(key_).second) {
            ec = make_error_code(boost::system::errc::file_exists);
            return false;
        }
        key_.clear();
        return true;
    }
    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_array_begin(error_code&) { return true; }
    bool on_array_end(std::size_t, error_code&) { return true; }
    bool on_string_part(string_view, std::size_t, error_code&) { return true; }
    bool on_string(string_view, std::size_t, error_code&) { return true; }
    bool on_number_part(string_view, error_code&) { return true; }
    bool on_int64(std::int64_t, string_view, error_code&) { return true; }
    bool on_uint64(std::uint64_t, string_view, error_code&) { return true; }
    bool on_double(double value, string_view, error_code& ec) {
        if (!std::isfinite(value)) ec = make_error_code(boost::system::errc::result_out_of_range);
        return !ec;
    }
    bool on_bool(bool, error_code&) { return true; }
    bool on_null(error_code&) { return true; }
    bool on_comment_part(string_view, error_code&) { return true; }
    bool on_comment(string_view, error_code&) { return true; }

    const std::string& key() const { return key_; }  // after on_key() has failed

  private:
    std::vector<std::unordered_set<std::string>> objects_;  // keys seen, one set for each open object
    std::string key_;
};

// Returns the offset of the opening quotation mark of the string that ends at `end`, where the parser has
// stopped before or after the closing quotation mark.
std::size_t begin_of_string(std::string_view text, std::size_t end) {
    const auto closing = text[end] == '"' ? end : end - 1;
    for (auto begin = text.rfind('"', closing - 1);; begin = text.rfind('"', begin - 1)) {
        std::size_t num_backslashes = 0;
        while (text[begin - 1 - num_backslashes] == '\\') ++num_backslashes;
        if (num_backslashes % 2 == 0) return begin;
    }
}

// Returns the offset of the first character of the number that ends before `end`.
std::size_t begin_of_number(std::string_view text, std::size_t end) {
    return text.find_last_not_of("0123456789+-.eE", end - 1) + 1;
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

std::optional<JsonFlaw> find_json_flaw(std::string_view text, std::size_t first_byte) {
    json::basic_parser<FlawFinder> parser{json::parse_options{}};
    json::error_code ec;
    const std::size_t end = parser.write_some(false, text.data(), text.size(), ec);
    if (!ec) return std::nullopt;
    if (ec == boost::system::errc::result_out_of_range)
        return JsonFlaw{{}, place_of(text, begin_of_number(text, end), first_byte)};
    return JsonFlaw{parser.handler().key(), place_of(text, begin_of_string(text, end), first_byte)};
}

std::string quoted_name(std::string_view text) {
    constexpr std::size_t max_bytes = 120;
    if (text.size() <= max_bytes) return json::serialize(text);
    std::size_t end = max_bytes;
    while (end > 0 && is_continuation(text[end])) --end;
    return json::serialize(text.substr(0, end)).append("...");
}

}  // namespace solard
