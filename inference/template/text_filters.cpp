// Filters of texts and numbers.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "inference/template/access.hpp"
#include "inference/template/arguments.hpp"
#include "inference/template/characters.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/filters.hpp"
#include "inference/template/json_writer.hpp"
#include "inference/template/operators.hpp"
#include "inference/template/text_operations.hpp"

namespace solard::jinja {
namespace {

template <Case to>
Value case_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("upper", arguments, {});
    return change_case(runtime, to_text(runtime, input), to);
}

Value title_of(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("title", arguments, {});
    return title_filter(runtime, to_text(runtime, input));
}

Value trim(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("trim", arguments, {"chars"});
    return strip(runtime, to_text(runtime, input), bound.text(0), Side::both);
}

Value replace_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
    return replace(runtime, to_text(runtime, input), to_text(runtime, bound.at(0)),
                   to_text(runtime, bound.at(1)), bound.integer(2).value_or(-1));
}

Value string_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("string", arguments, {});
    return &to_text(runtime, input);
}

// Jinja2 escapes <, >, & and quotes in a text that is joined to a safe one. A prompt needs the characters
// themselves, so a text that is marked as safe is like any other text here.
Value safe(Runtime&, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("safe", arguments, {});
    return input;
}

Value indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("indent", arguments, {"width", "first", "blank"});
    MarkedText indention;
    const Value width = bound.value_or(0, std::int64_t{4});
    if (const auto* text = as_text(width)) {
        indention = *text;
    } else if (const auto count = bound.integer(0).value_or(4); count > 0) {
        runtime.charge_memory(static_cast<std::size_t>(count));
        indention = MarkedText(std::string(static_cast<std::size_t>(count), ' '), Trust::trusted);
    }
    const auto* text = as_text(input);
    if (text == nullptr) fail("'indent' needs a string, not " + std::string(type_name(input)));
    // As in Jinja, a line break at the end of the text is followed by an empty line.
    MarkedText lines_text = *text;
    lines_text.append("\n", Trust::trusted);
    const Value lines = split_lines(runtime, *as_text(runtime.text(std::move(lines_text))), false);
    MarkedText result;
    const bool indents_blank = bound.flag(2);
    for (const Value& line : as_list(lines)->items) {
        const bool is_first = &line == &as_list(lines)->items.front();
        runtime.charge_memory(indention.size() + as_text(line)->size() + 1);
        runtime.copy(indention.size());
        if (!is_first) result.append("\n", Trust::trusted);
        const bool indents = is_first ? bound.flag(1) : indents_blank || !as_text(line)->empty();
        if (indents) result.append(indention);
        result.append(*as_text(line));
    }
    return runtime.text(std::move(result));
}

std::string_view stripped(std::string_view text) {
    while (!text.empty() && is_space(first_character(text))) text.remove_prefix(character_size(text[0]));
    while (!text.empty()) {
        const std::size_t size = last_character_size(text);
        if (!is_space(first_character(text.substr(text.size() - size)))) break;
        text.remove_suffix(size);
    }
    return text;
}

std::optional<double> parse_number(std::string_view text) {
    text = stripped(text);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    double number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
    text = stripped(text);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    std::int64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (read.ec == std::errc::result_out_of_range) fail("the number is outside of 64 bits");
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

Value truncate(double number) {
    constexpr double limit = 9223372036854775808.0;  // 2^63
    if (!(std::abs(number) < limit)) fail("the number is outside of 64 bits");
    return static_cast<std::int64_t>(number);
}

Value int_filter(Runtime&, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("int", arguments, {"default", "base"});
    if (const auto* undefined = as<Undefined>(input)) fail_undefined(*undefined);
    const Value absent = bound.value_or(0, std::int64_t{0});
    if (const auto integer = as_integer(input)) return *integer;
    if (const auto* number = as<double>(input)) return std::isfinite(*number) ? truncate(*number) : absent;
    const auto* text = as_text(input);
    if (text == nullptr) return absent;
    const auto base = bound.integer(1).value_or(10);
    if (base < 2 || base > 36) fail("the base of a number must be from 2 to 36");
    if (const auto integer = parse_integer(text->bytes(), static_cast<int>(base))) return *integer;
    const auto number = parse_number(text->bytes());
    return number && std::isfinite(*number) ? truncate(*number) : absent;
}

Value float_filter(Runtime&, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("float", arguments, {"default"});
    if (const auto* undefined = as<Undefined>(input)) fail_undefined(*undefined);
    if (const auto number = as_number(input)) return *number;
    const auto* text = as_text(input);
    const auto number = text != nullptr ? parse_number(text->bytes()) : std::nullopt;
    return number ? Value(*number) : bound.value_or(0, 0.0);
}

Value abs_filter(Runtime&, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("abs", arguments, {});
    if (const auto integer = as_integer(input))
        return *integer < 0 ? negate(*integer, true) : Value(*integer);
    if (const auto* number = as<double>(input)) return std::abs(*number);
    fail("'abs' needs a number, not " + std::string(type_name(input)));
}

// Rounds half to even, as in Python.
Value round_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("round", arguments, {"precision", "method"});
    const auto number = as_number(input);
    if (!number) fail("'round' needs a number, not " + std::string(type_name(input)));
    const auto precision = bound.integer(0).value_or(0);
    if (precision < -15 || precision > 15) fail("the precision of 'round' must be from -15 to 15");
    const std::string method = bound.text(1) != nullptr ? bound.text(1)->bytes() : std::string("common");
    runtime.step();
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (method == "ceil") return std::ceil(*number * scale) / scale;
    if (method == "floor") return std::floor(*number * scale) / scale;
    if (method != "common") fail("the method of 'round' must be common, ceil or floor");
    if (precision <= 0) {
        const double rounded = std::nearbyint(*number * scale) / scale;
        return as<double>(input) != nullptr ? Value(rounded) : truncate(rounded);
    }
    if (const auto integer = as_integer(input)) return *integer;
    std::array<char, 400> buffer;
    const auto fixed = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *number,
                                     std::chars_format::fixed, static_cast<int>(precision));
    double rounded = 0;
    std::from_chars(buffer.data(), fixed.ptr, rounded);
    return rounded;
}

Value wordcount(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("wordcount", arguments, {});
    const MarkedText& text = to_text(runtime, input);
    runtime.scan(text.size());
    std::int64_t count = 0;
    bool in_word = false;
    for (const char c : text.bytes()) {
        const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             c == '_' || static_cast<unsigned char>(c) >= 0x80;
        if (is_word && !in_word) ++count;
        in_word = is_word;
    }
    return count;
}

constexpr auto rows = std::to_array<FilterRow>({
    {"abs", abs_filter},
    {"capitalize", case_filter<Case::capitalized>},
    {"float", float_filter},
    {"indent", indent},
    {"int", int_filter},
    {"lower", case_filter<Case::lower>},
    {"replace", replace_filter},
    {"round", round_filter},
    {"safe", safe},
    {"string", string_filter},
    {"title", title_of},
    {"tojson", to_json},
    {"trim", trim},
    {"upper", case_filter<Case::upper>},
    {"wordcount", wordcount},
});

}  // namespace

std::span<const FilterRow> text_filters() {
    return rows;
}

}  // namespace solard::jinja
