#include "server/api/fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "server/api/json.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::size_t max_value_shown = 32;  // bytes

// The name of a numeric field, and the value with which the field does not change the answer.
struct NeutralNumber {
    std::string_view name;
    double value;
};
constexpr std::array neutral_numbers{
    NeutralNumber{"best_of", 1},
    NeutralNumber{"length_penalty", 1},
};

bool is_neutral(std::string_view name, const json::value& value) {
    if (value.is_null()) return true;
    if (value.is_bool()) return !value.get_bool();
    if (value.is_array()) return value.get_array().empty();
    if (const auto* object = value.if_object()) {
        const auto* type = object->if_contains("type");
        const auto is_null = [](const auto& member) { return member.value().is_null(); };
        return std::ranges::all_of(*object, is_null) ||
               (name == "response_format" && object->size() == 1 && type != nullptr && type->is_string() &&
                type->get_string() == "text");
    }
    if (value.is_string()) {
        const std::string_view text = value.get_string();
        return text.empty() || (name == "tool_choice" && (text == "none" || text == "auto"));
    }
    const auto number = value.to_number<double>();
    const auto it = std::ranges::find(neutral_numbers, name, &NeutralNumber::name);
    return (it != neutral_numbers.end() && number == it->value) || (number == 0 && name != "best_of");
}

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
    const bool fits = value->is_int64() && value->get_int64() >= min && value->get_int64() <= max;
    if (!fits) {
        fail(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
        return std::nullopt;
    }
    return value->get_int64();
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
    if (value->is_int64()) return static_cast<std::uint64_t>(value->get_int64());
    if (value->is_uint64()) return value->get_uint64();
    fail(name, "a 64-bit integer");
    return std::nullopt;
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

void FieldReader::refuse_unless_neutral(std::span<const std::string_view> names) {
    for (const auto name : names) {
        if (std::ranges::find(known_, name) != known_.end()) continue;
        const auto* value = find(name);
        if (value == nullptr || is_neutral(name, *value)) continue;
        refuse(name);
    }
}

void FieldReader::refuse_unknown() {
    for (const auto& member : object_) {
        const std::string_view key = member.key();
        if (std::ranges::find(known_, key) == known_.end()) refuse(shown(key));
    }
}

void FieldReader::refuse(std::string_view name) {
    const std::string path = prefix_ + std::string(name);
    fail({errc::unsupported_parameter, path + " is not supported by this server.", path});
}

}  // namespace solard::server
