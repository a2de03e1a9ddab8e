#include "server/api/message_fields.hpp"

#include <algorithm>

#include "server/api/fields.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

Error unsupported_part(std::string_view type, const std::string& path) {
    return {errc::unsupported_input,
            path + " contains a part of type '" + shown(type) + "'; this model accepts only text parts.",
            path};
}

const json::string* string_member(const json::object* object, std::string_view name) {
    const auto* value = object != nullptr ? object->if_contains(name) : nullptr;
    return value != nullptr ? value->if_string() : nullptr;
}

}  // namespace

result<Role> parse_role(const json::value* value, const std::string& path) {
    const auto* text = value != nullptr ? value->if_string() : nullptr;
    const std::string_view name = text != nullptr ? std::string_view(*text) : "";
    if (name == "user") return Role::user;
    if (name == "assistant") return Role::assistant;
    if (name == "system" || name == "developer") return Role::system;
    return wrong_field(path, "one of system, developer, user, assistant", value);
}

result<std::string> parse_content(const json::value* value, const std::string& path,
                                  std::span<const std::string_view> part_types) {
    constexpr std::string_view expectation = "a string or a list of text parts, each with a type and a text";
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    const auto* parts = value != nullptr ? value->if_array() : nullptr;
    if (parts == nullptr) return wrong_field(path, expectation, value);
    std::string text;
    for (const auto& part : *parts) {
        const auto* type = string_member(part.if_object(), "type");
        if (type == nullptr) return wrong_field(path, expectation, value);
        if (std::ranges::find(part_types, std::string_view(*type)) == part_types.end())
            return unsupported_part(*type, path);
        const auto* content = string_member(part.if_object(), "text");
        if (content == nullptr) return wrong_field(path, expectation, value);
        text += std::string_view(*content);
    }
    return text;
}

}  // namespace solard::server
