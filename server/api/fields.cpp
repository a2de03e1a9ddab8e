#include "server/api/fields.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "server/api/json.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::size_t max_value_shown = 32;  // bytes

std::string text_of(double value) {
    std::string text;
    append_json_number(text, value);
    return text;
}

// Returns the value as JSON, or an empty string if a message should not repeat it.
std::string shown_value(const json::value& value) {
    if (value.is_structured()) return {};
    if (value.is_double()) return text_of(value.get_double());
    const auto* text = value.if_string();
    return text != nullptr && text->size() > max_value_shown ? std::string() : json::serialize(value);
}

}  // namespace

Error wrong_field(const std::string& path, std::string_view expectation, const json::value* value) {
    std::string message = path + " must be " + std::string(expectation);
    const std::string found = value != nullptr ? shown_value(*value) : "missing";
    if (!found.empty()) message += ", but is " + found;
    return {errc::invalid_value, message + ".", path};
}

std::optional<std::int64_t> whole_number(const json::value& value) {
    constexpr double limit = 9223372036854775808.0;  // 2^63
    if (const auto* integer = value.if_int64()) return *integer;
    const auto* number = value.if_double();
    if (number == nullptr || std::trunc(*number) != *number || *number <= -limit || *number >= limit)
        return std::nullopt;
    return static_cast<std::int64_t>(*number);
}

std::optional<std::vector<TokenId>> token_ids_in(const json::array& list, std::int64_t end) {
    std::vector<TokenId> ids;
    ids.reserve(list.size());
    for (const auto& item : list) {
        const auto id = whole_number(item);
        if (!id || *id < 0 || *id >= end) return std::nullopt;
        ids.push_back(static_cast<TokenId>(*id));
    }
    return ids;
}

const json::value* FieldReader::find(std::string_view name) {
    known_.push_back(name);
    if (error_) return nullptr;
    const auto* value = object_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

void FieldReader::fail(std::string_view name, std::string_view expectation) {
    if (error_) return;
    error_ = wrong_field(prefix_ + std::string(name), expectation, object_.if_contains(name));
}

void FieldReader::fail(Error problem) {
    if (!error_) error_ = std::move(problem);
}

std::optional<std::string> FieldReader::string(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) return fail(name, "a string"), std::nullopt;
    return std::string(value->get_string());
}

std::optional<bool> FieldReader::boolean(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_bool()) return fail(name, "true or false"), std::nullopt;
    return value->get_bool();
}

std::optional<std::int64_t> FieldReader::integer(std::string_view name, std::int64_t min, std::int64_t max) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    const auto number = whole_number(*value);
    if (number && *number >= min && *number <= max) return number;
    fail(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
}

std::optional<std::int32_t> FieldReader::token_limit(std::string_view name, std::int32_t min) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    const double limit = value->is_number() ? value->to_number<double>() : -2;
    const bool is_whole = std::trunc(limit) == limit;
    if (limit == -1 || (is_whole && limit >= max_token_count))
        return static_cast<std::int32_t>(max_token_count);
    if (is_whole && limit >= min) return static_cast<std::int32_t>(limit);
    fail(name, "an integer of at least " + std::to_string(min) + ", or -1 for no bound");
    return std::nullopt;
}

std::optional<double> FieldReader::number(std::string_view name, double min, double max, Bound lower) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    const double number = value->is_number() ? value->to_number<double>() : max + 1;
    if (number > max || number < min || (lower == Bound::open && number <= min)) {
        fail(name, lower == Bound::open ? "a number above " + text_of(min) + " and at most " + text_of(max)
                                        : "a number from " + text_of(min) + " to " + text_of(max));
        return std::nullopt;
    }
    return number;
}

std::optional<std::uint64_t> FieldReader::seed(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_uint64()) return value->get_uint64();
    constexpr double end = 18446744073709551616.0;  // 2 to the power of 64
    if (value->is_double() && value->get_double() > 0 && value->get_double() < end &&
        std::trunc(value->get_double()) == value->get_double())
        return static_cast<std::uint64_t>(value->get_double());
    const auto number = whole_number(*value);
    if (!number) return fail(name, "a 64-bit integer"), std::nullopt;
    if (*number == -1) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

std::vector<std::string> FieldReader::stop(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return {};
    std::vector<std::string> stops;
    const auto take = [&](const json::value& item) {
        const bool fits =
            item.is_string() && !item.get_string().empty() && item.get_string().size() <= max_stop_bytes;
        if (fits) stops.emplace_back(item.get_string());
        return fits;
    };
    const bool valid = value->is_array() ? value->get_array().size() <= max_stop_strings &&
                                               std::ranges::all_of(value->get_array(), take)
                                         : take(*value);
    if (!valid) fail(name, "a string of 1 to 256 bytes or a list of up to 16 such strings");
    return valid ? stops : std::vector<std::string>{};
}

const json::object* FieldReader::object(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return nullptr;
    if (!value->is_object()) fail(name, "an object");
    return value->if_object();
}

const json::array* FieldReader::array(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) fail(name, "a list");
    return value->if_array();
}

bool FieldReader::is_known(std::string_view name) const {
    return std::ranges::find(known_, name) != known_.end();
}

void FieldReader::refuse(std::string_view name, std::string_view accepted) {
    const std::string path = prefix_ + shown(name);
    std::string message = path + " is not supported by this server";
    if (!accepted.empty()) message.append(", unless it has one of these values: ").append(accepted);
    fail({errc::unsupported_parameter, message + ".", path});
}

}  // namespace solard::server
