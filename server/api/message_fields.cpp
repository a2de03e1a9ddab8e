#include "server/api/message_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <initializer_list>
#include <string_view>

#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

// The types of parts in all APIs. Clients send the answers of one API back through another one.
constexpr auto text_types = std::to_array<std::string_view>({"input_text", "output_text", "refusal", "text"});

Error unsupported_part(std::string_view type, const std::string& path) {
    return {errc::unsupported_input,
            path + " contains a part of type '" + shown(type) + "'; this model accepts only text parts.",
            path};
}

const json::string* string_member(const json::object* object, std::string_view name) {
    const auto* value = object != nullptr ? object->if_contains(name) : nullptr;
    return value != nullptr ? value->if_string() : nullptr;
}

// In both functions below, `value` is nullptr if the field is missing, and `path` names the field in errors.

result<Role> parse_role(const json::value* value, const std::string& path) {
    const auto* text = value != nullptr ? value->if_string() : nullptr;
    const std::string_view name = text != nullptr ? std::string_view(*text) : "";
    if (name == "user") return Role::user;
    if (name == "assistant") return Role::assistant;
    if (name == "system" || name == "developer") return Role::system;
    return wrong_field(path, "one of system, developer, user, assistant", value);
}

// Refuses members of a message or of a part which would change the prompt, such as `tool_calls`. `known` are
// the members which are read elsewhere, and `place` is the object's place in peer_fields.tsv.
result<void> check_members(const json::object& object, BodyKind kind, const std::string& path,
                           std::initializer_list<std::string_view> known, std::string_view place) {
    FieldReader fields(object, path + ".");
    for (const auto name : known) fields.ignore(name);
    const std::string_view list = kind == BodyKind::responses ? "input[]." : "messages[].";
    check_other_fields(fields, kind, UnknownFields::ignored, std::string(list).append(place));
    if (const auto& problem = fields.error()) return *problem;
    return {};
}

result<std::string> parse_content(const json::value* value, BodyKind kind, const std::string& path) {
    constexpr std::string_view expectation =
        "a string or a list of strings and text parts, each part with a type and a text";
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    const auto* parts = value != nullptr ? value->if_array() : nullptr;
    if (parts == nullptr) return wrong_field(path, expectation, value);
    std::string text;
    for (const auto& part : *parts) {
        const auto* content = part.if_string();
        if (content == nullptr) {
            const auto* type = string_member(part.if_object(), "type");
            if (type == nullptr) return wrong_field(path, expectation, value);
            if (std::ranges::find(text_types, std::string_view(*type)) == text_types.end())
                return unsupported_part(*type, path);
            content = string_member(part.if_object(), *type == "refusal" ? "refusal" : "text");
            if (content == nullptr) return wrong_field(path, expectation, value);
            std::string place = path;
            place.append("[").append(std::to_string(&part - parts->begin())).append("]");
            const auto checked =
                check_members(part.get_object(), kind, place, {"type", "text", "refusal"}, "content[].");
            if (!checked) return checked.error();
        }
        // vLLM and llama.cpp join the parts in the same way.
        if (&part != parts->begin()) text += '\n';
        text += std::string_view(*content);
    }
    return text;
}

}  // namespace

result<ChatMessage> parse_message(const json::value& value, BodyKind kind, const std::string& path) {
    if (!value.is_object()) return wrong_field(path, "an object", &value);
    const json::object& object = value.get_object();
    if (auto ok = check_members(
            object, kind, path,
            {"type", "role", "content", "refusal", kind == BodyKind::chat ? "name" : "role"}, "");
        !ok)
        return ok.error();
    const auto role = parse_role(object.if_contains("role"), path + ".role");
    if (!role) return role.error();
    const auto* content = object.if_contains("content");
    const bool has_content = content != nullptr && !content->is_null();
    if (!has_content && *role == Role::assistant) {
        const auto* refusal = string_member(&object, "refusal");
        return ChatMessage{*role, refusal != nullptr ? std::string(*refusal) : std::string()};
    }
    auto text = parse_content(content, kind, path + ".content");
    if (!text) return text.error();
    ChatMessage message{*role, *std::move(text)};
    const auto* name = kind == BodyKind::chat ? object.if_contains("name") : nullptr;
    if (name == nullptr || name->is_null()) return message;
    if (!name->is_string()) return wrong_field(path + ".name", "a string", name);
    message.name = std::string(name->get_string());
    return message;
}

PromptEnd parse_prompt_end(FieldReader& fields, std::span<const ChatMessage> messages) {
    constexpr std::string_view continues = "continue_final_message";
    const auto generation_prompt = fields.boolean("add_generation_prompt");
    if (!fields.boolean(continues).value_or(false))
        return generation_prompt.value_or(true) ? PromptEnd::assistant_turn : PromptEnd::last_message;
    if (generation_prompt.value_or(false)) {
        fields.fail(continues, "false or absent if add_generation_prompt is true");
    } else if (!messages.empty() && messages.back().role != Role::assistant) {
        fields.fail(continues, "false or absent unless the role of the last message is assistant");
    }
    return PromptEnd::continued_message;
}

boost::json::object parse_template_kwargs(FieldReader& fields) {
    constexpr std::string_view name = "chat_template_kwargs";
    const auto* kwargs = fields.object(name);
    if (kwargs == nullptr) return {};
    for (const auto& member : *kwargs) {
        if (!ChatTemplate::is_reserved(member.key())) continue;
        const std::string path = std::string(name) + "." + shown(member.key());
        fields.fail({errc::invalid_value, path + " is set by the server, so it must be absent.", path});
    }
    return *kwargs;
}

boost::json::array parse_objects(FieldReader& fields, std::string_view name) {
    const auto* list = fields.array(name);
    if (list == nullptr) return {};
    if (!std::ranges::all_of(*list, [](const json::value& item) { return item.is_object(); }))
        fields.fail(name, "a list of objects");
    return *list;
}

}  // namespace solard::server
