#include "inference/tokenizer/object_reader.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <limits>
#include <utility>

#include "inference/text/json_text.hpp"

namespace solard {
namespace {

namespace json = boost::json;

std::string abridged(const json::value& value) {
    constexpr std::size_t max_elements = 8;
    if (value.is_string()) return quoted_name(value.get_string());
    const auto* object = value.if_object();
    const auto* array = value.if_array();
    if ((object != nullptr && object->size() > max_elements) ||
        (array != nullptr && array->size() > max_elements))
        return "a long list or object";
    return quoted_name(json::serialize(value));
}

}  // namespace

ObjectReader::ObjectReader(const json::object& object, std::string path, JsonProblem& problem)
    : object_(&object), path_(std::move(path)), problem_(&problem) {}

const json::value* ObjectReader::find(std::string_view key) {
    known_keys_.emplace_back(key);
    const json::value* value = object_->if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

bool ObjectReader::boolean(std::string_view key, bool absent) {
    const json::value* value = find(key);
    if (value == nullptr) return absent;
    if (value->is_bool()) return value->get_bool();
    refuse(key, "true or false");
    return absent;
}

std::string ObjectReader::string(std::string_view key) {
    if (find(key) == nullptr) refuse(key, "a string");
    return string(key, {});
}

std::string ObjectReader::string(std::string_view key, std::string_view absent) {
    const json::value* value = find(key);
    if (value == nullptr) return std::string(absent);
    if (value->is_string()) return std::string(value->get_string());
    refuse(key, "a string");
    return std::string(absent);
}

std::int32_t ObjectReader::integer(std::string_view key) {
    const json::value* value = find(key);
    const std::int64_t* integer = value == nullptr ? nullptr : value->if_int64();
    if (integer != nullptr && *integer >= 0 && *integer < std::numeric_limits<std::int32_t>::max())
        return static_cast<std::int32_t>(*integer);
    refuse(key, "an integer from 0");
    return 0;
}

const json::array* ObjectReader::array(std::string_view key) {
    const json::value* value = find(key);
    if (value != nullptr && value->is_array()) return &value->get_array();
    refuse(key, "a list");
    return nullptr;
}

std::optional<ObjectReader> ObjectReader::object(std::string_view key) {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_object()) return ObjectReader(value->get_object(), path_of(key), *problem_);
    refuse(key, "an object");
    return std::nullopt;
}

std::vector<ObjectReader> ObjectReader::objects(std::string_view key) {
    std::vector<ObjectReader> readers;
    const json::array* list = array(key);
    if (list == nullptr) return readers;
    for (const json::value& value : *list) {
        if (!value.is_object()) {
            refuse(key, "a list of objects");
            return {};
        }
        const std::string path = path_of(key) + "[" + std::to_string(readers.size()) + "]";
        readers.emplace_back(value.get_object(), path, *problem_);
    }
    return readers;
}

void ObjectReader::refuse(std::string_view key, std::string_view expected) {
    if (!problem_->empty()) return;
    const json::value* value = object_->if_contains(key);
    const std::string found = value == nullptr ? "is missing" : "is " + abridged(*value);
    problem_->set(path_of(key) + " " + found + ", expected " + std::string(expected));
}

void ObjectReader::refuse_other_keys() {
    if (!problem_->empty()) return;
    for (const auto& [key, value] : *object_) {
        const std::string_view name(key);
        if (std::ranges::find(known_keys_, name) != known_keys_.end()) continue;
        problem_->set(path_of(name) + " is not supported, and it may change the tokens");
        return;
    }
}

std::string ObjectReader::path_of(std::string_view key) const {
    const std::string name(key);
    return path_.empty() ? name : path_ + "." + name;
}

}  // namespace solard
