#include "inference/model/config_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"

namespace solard {
namespace {

namespace json = boost::json;

std::string integer_from(std::int32_t min, std::int32_t max) {
    return "an integer from " + std::to_string(min) + " to " + std::to_string(max);
}

}  // namespace

std::string shown(const json::value& value) {
    constexpr std::size_t max_bytes = 80;
    if (value.is_string()) return quoted_name(value.get_string());
    if (value.is_structured() && json::serialize(value).size() > max_bytes) return "a long list or object";
    return json::serialize(value);
}

ConfigReader::ConfigReader(const std::filesystem::path& file, const json::object& object, std::string path)
    : file_(file), object_(object), path_(std::move(path)) {}

void ConfigReader::refuse(std::string_view key, std::string_view expected) {
    if (error_) return;
    const json::value* value = find(key);
    const std::string full = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
    const std::string found = value == nullptr ? "is missing" : "is " + shown(*value);
    error_ = bad_model(file_, full + " " + found + ", expected " + std::string(expected));
}

const json::value* ConfigReader::find(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<std::int32_t> ConfigReader::optional_integer(std::string_view key, std::int32_t min,
                                                           std::int32_t max) {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto integer = non_negative_integer(*value);
    if (integer && *integer >= min && *integer <= max) return static_cast<std::int32_t>(*integer);
    refuse(key, integer_from(min, max));
    return std::nullopt;
}

std::int32_t ConfigReader::integer(std::string_view key, std::int32_t min, std::int32_t max) {
    const auto value = optional_integer(key, min, max);
    if (!value) refuse(key, integer_from(min, max));
    return value.value_or(min);
}

bool ConfigReader::boolean_or_false(std::string_view key) {
    const json::value* value = find(key);
    if (value == nullptr) return false;
    if (value->is_bool()) return value->get_bool();
    refuse(key, "true or false");
    return false;
}

std::vector<TokenId> ConfigReader::token_ids(std::string_view key, std::int32_t vocab_size) {
    const json::value* value = find(key);
    if (value == nullptr) return {};
    const json::array ids = value->is_array() ? value->get_array() : json::array{*value};
    std::vector<TokenId> tokens;
    for (const json::value& id : ids) {
        const auto integer = non_negative_integer(id);
        if (integer && *integer < vocab_size) tokens.push_back(static_cast<TokenId>(*integer));
    }
    if (tokens.empty() || tokens.size() != ids.size()) {
        refuse(key, "an integer or a list of integers from 0 to " + std::to_string(vocab_size - 1));
    }
    return tokens;
}

void ConfigReader::require_absent(std::string_view key) {
    if (find(key) != nullptr) refuse(key, "null or absent (other values are not supported)");
}

void ConfigReader::require_false(std::string_view key) {
    if (boolean_or_false(key)) refuse(key, "false (true is not supported)");
}

void ConfigReader::require_equal(std::string_view key, const json::value& wanted) {
    const json::value* value = find(key);
    if (value == nullptr || *value != wanted) refuse(key, json::serialize(wanted));
}

}  // namespace solard
