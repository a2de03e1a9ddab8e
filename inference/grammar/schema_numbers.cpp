#include "inference/grammar/schema_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "inference/grammar/json_schema_keywords.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr double infinity = std::numeric_limits<double>::infinity();

std::string about(std::string_view keyword, const std::string& place, const std::string& problem) {
    return '"' + std::string(keyword) + "\" at " + place + ' ' + problem;
}

// Numbers are written with up to six decimals.
std::optional<std::string> why_bound_not_supported(const json::object& schema, std::string_view keyword,
                                                   bool is_whole, const std::string& place) {
    const auto bound = number_of(schema, keyword);
    if (!bound) return std::nullopt;
    constexpr double largest = 1e15;  // whole numbers up to here are exact
    if (!(std::abs(*bound) <= largest))
        return about(keyword, place, "must be at most 1e15 and at least -1e15");
    if (is_whole) return std::nullopt;
    constexpr double parts = 1e6;
    if (std::abs(*bound) < largest / parts && std::round(*bound * parts) / parts != *bound)
        return about(keyword, place, "must have at most six decimals");
    // Near a larger number, two texts with six decimals can be the same number of 64 bits.
    constexpr double largest_excluded = 1e9;
    if (keyword.starts_with("exclusive") && std::abs(*bound) > largest_excluded)
        return about(keyword, place, "must be at most 1e9 and at least -1e9");
    return std::nullopt;
}

// The library lists the multiples in a range, or follows the remainder, of which there may be a thousand.
std::optional<std::string> why_divisor_not_supported(double divisor, bool is_whole, const NumberRange& range,
                                                     const std::string& place) {
    constexpr std::string_view keyword = "multipleOf";
    if (!is_whole) return about(keyword, place, R"(is supported only with "type": "integer")");
    constexpr double largest = 1000;
    if (!(divisor >= 1 && divisor <= largest) || divisor != std::floor(divisor))
        return about(keyword, place, "must be a whole number up to 1000");
    if (range.low == -infinity && range.high == infinity) return std::nullopt;
    constexpr double widest = 10'000;
    if (!(range.high - range.low <= widest))
        return about(keyword, place,
                     "is supported beside a bound only if the other bound is there too, at most 10000 away");
    if (std::ceil(range.low / divisor) * divisor > range.high)
        return "no number is within the bounds at " + place;
    return std::nullopt;
}

}  // namespace

std::optional<double> number_of(const json::object& schema, std::string_view keyword) {
    const json::value* const value = schema.if_contains(keyword);
    return value == nullptr ? std::nullopt : std::optional(value->to_number<double>());
}

NumberRange range_of(const json::object& schema, bool is_whole) {
    NumberRange range;
    if (const auto bound = number_of(schema, "minimum")) range.low = is_whole ? std::ceil(*bound) : *bound;
    if (const auto bound = number_of(schema, "maximum")) range.high = is_whole ? std::floor(*bound) : *bound;
    if (const auto bound = number_of(schema, "exclusiveMinimum")) {
        range.excludes_low = !is_whole && *bound >= range.low;
        range.low = std::max(range.low, is_whole ? std::floor(*bound) + 1 : *bound);
    }
    if (const auto bound = number_of(schema, "exclusiveMaximum")) {
        range.excludes_high = !is_whole && *bound <= range.high;
        range.high = std::min(range.high, is_whole ? std::ceil(*bound) - 1 : *bound);
    }
    return range;
}

std::optional<std::string> why_numbers_not_supported(const json::object& schema, const std::string& place) {
    const auto types = types_of(schema);
    const auto has_type = [&](std::string_view type) {
        return std::ranges::find(types, type) != types.end();
    };
    const bool is_whole = !has_type("number");
    if (is_whole && !has_type("integer")) return std::nullopt;
    for (const std::string_view keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
        if (auto problem = why_bound_not_supported(schema, keyword, is_whole, place)) return problem;
    const NumberRange range = range_of(schema, is_whole);
    if (range.is_empty()) return "no number is within the bounds at " + place;
    const auto divisor = number_of(schema, "multipleOf");
    return divisor ? why_divisor_not_supported(*divisor, is_whole, range, place) : std::nullopt;
}

}  // namespace solard
