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

double lowest_of(const json::object& schema, bool is_whole) {
    double lowest = -infinity;
    if (const auto bound = number_of(schema, "minimum")) lowest = is_whole ? std::ceil(*bound) : *bound;
    if (const auto bound = number_of(schema, "exclusiveMinimum"))
        lowest = std::max(lowest, is_whole ? std::floor(*bound) + 1 : *bound);
    return lowest;
}

double highest_of(const json::object& schema, bool is_whole) {
    double highest = infinity;
    if (const auto bound = number_of(schema, "maximum")) highest = is_whole ? std::floor(*bound) : *bound;
    if (const auto bound = number_of(schema, "exclusiveMaximum"))
        highest = std::min(highest, is_whole ? std::ceil(*bound) - 1 : *bound);
    return highest;
}

// The library lists the multiples in a range, or follows the remainder, of which there may be a thousand.
std::optional<std::string> why_divisor_not_supported(double divisor, bool is_whole, double low, double high,
                                                     const std::string& place) {
    constexpr std::string_view keyword = "multipleOf";
    if (!is_whole) return about(keyword, place, R"(is supported only with "type": "integer")");
    constexpr double largest = 1000;
    if (!(divisor >= 1 && divisor <= largest) || divisor != std::floor(divisor))
        return about(keyword, place, "must be a whole number up to 1000");
    if (low == -infinity && high == infinity) return std::nullopt;
    constexpr double widest = 10'000;
    if (!(high - low <= widest))
        return about(keyword, place,
                     "is supported beside a bound only if the other bound is there too, at most 10000 away");
    if (std::ceil(low / divisor) * divisor > high) return "no number is within the bounds at " + place;
    return std::nullopt;
}

}  // namespace

std::optional<double> number_of(const json::object& schema, std::string_view keyword) {
    const json::value* const value = schema.if_contains(keyword);
    return value == nullptr ? std::nullopt : std::optional(value->to_number<double>());
}

std::optional<std::string> why_numbers_not_supported(const json::object& schema, const std::string& place) {
    constexpr double largest = 1e15;  // whole numbers up to here are exact
    bool is_there = false;
    for (const std::string_view keyword :
         {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
        const auto number = number_of(schema, keyword);
        is_there = is_there || number;
        if (number && !(std::abs(*number) <= largest))
            return about(keyword, place, "must be at most 1e15 and at least -1e15");
    }
    if (!is_there) return std::nullopt;
    const auto types = types_of(schema);
    const bool is_whole = std::ranges::find(types, "number") == types.end();
    const double low = lowest_of(schema, is_whole);
    const double high = highest_of(schema, is_whole);
    // Both ends of a range of numbers that are not whole must differ if one of them is excluded.
    const bool is_open = schema.contains("exclusiveMinimum") || schema.contains("exclusiveMaximum");
    if (low > high || (low == high && is_open && !is_whole))
        return "no number is within the bounds at " + place;
    const auto divisor = number_of(schema, "multipleOf");
    return divisor ? why_divisor_not_supported(*divisor, is_whole, low, high, place) : std::nullopt;
}

}  // namespace solard
