#include "server/api/message_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
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

// `value` is nullptr if the field is missing, and `path` names the field in errors.
result<Role> parse_role(const json::value* value, BodyKind kind, const std::string& path) {
    const auto* text = value != nullptr ? value->if_string() : nullptr;
    const std::string_view name = text != nullptr ? std::string_view(*text) : "";
    if (name == "user") return Role::user;
    if (name == "assistant") return Role::assistant;
    if (name == "system" || name == "developer") return Role::system;
    const bool is_chat = kind == BodyKind::chat;  // the results of Responses are items, not messages
    if (is_chat && (name == "tool" || name == "function")) return Role::tool;
    return wrong_field(path,
                       is_chat ? "one of system, developer, user, assistant, tool"
                               : "one of system, developer, user, assistant",
                       value);
}

// Refuses members of a message or of a part which would change the prompt, such as `audio`. `known` are
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

// Reads a call as chats write it: {"id":.., "type":.., TYPE: {"name":.., ..}}.
result<ToolCall> parse_call(const json::value& value, const std::string& path) {
    const json::object* const object = value.if_object();
    const json::string* const type = string_member(object, "type");
    const bool is_custom = type != nullptr && *type == "custom";
    const std::string kind = is_custom ? "custom" : "function";
    const json::value* const members = object != nullptr ? object->if_contains(kind) : nullptr;
    if (members == nullptr || !members->is_object())
        return wrong_field(path + "." + kind, "an object with the name and the arguments of a call", members);
    const json::string* const id = string_member(object, "id");
    return parse_call_members(members->get_object(), is_custom, id != nullptr ? std::string_view(*id) : "",
                              path + "." + kind + ".");
}

result<std::vector<ToolCall>> parse_calls(const json::object& message, const std::string& path) {
    std::vector<ToolCall> calls;
    const json::value* const list = message.if_contains("tool_calls");
    if (list == nullptr || list->is_null()) return calls;
    if (!list->is_array() || list->get_array().size() > max_calls)
        return wrong_field(path, "a list of at most " + std::to_string(max_calls) + " calls", list);
    for (const json::value& item : list->get_array()) {
        auto call = parse_call(item, path + "[" + std::to_string(calls.size()) + "]");
        if (!call) return call.error();
        calls.push_back(*std::move(call));
    }
    return calls;
}

}  // namespace

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

result<ToolCall> parse_call_members(const json::object& members, bool is_custom, std::string_view id,
                                    const std::string& prefix) {
    const std::string_view content = is_custom ? "input" : "arguments";
    for (const std::string_view name : {std::string_view("name"), content}) {
        if (string_member(&members, name) == nullptr)
            return wrong_field(prefix + std::string(name), "a string", members.if_contains(name));
    }
    ToolCall call{std::string(id), std::string(members.at("name").get_string()),
                  std::string(members.at(content).get_string())};
    if (is_custom) call.arguments = custom_arguments(call.arguments);
    if (call.arguments.find_first_not_of(" \t\r\n") == std::string::npos) call.arguments = "{}";
    return call;
}

std::string custom_arguments(std::string_view input) {
    return json::serialize(json::object{{"input", input}});
}

result<ChatMessage> parse_message(const json::value& value, BodyKind kind, const std::string& path) {
    if (!value.is_object()) return wrong_field(path, "an object", &value);
    const json::object& object = value.get_object();
    const bool is_chat = kind == BodyKind::chat;
    const auto checked =
        is_chat
            ? check_members(object, kind, path,
                            {"type", "role", "content", "refusal", "name", "tool_calls", "tool_call_id"}, "")
            : check_members(object, kind, path, {"type", "role", "content", "refusal"}, "");
    if (!checked) return checked.error();
    const auto role = parse_role(object.if_contains("role"), kind, path + ".role");
    if (!role) return role.error();
    auto calls = is_chat ? parse_calls(object, path + ".tool_calls") : std::vector<ToolCall>();
    if (!calls) return calls.error();
    if (!calls->empty() && *role != Role::assistant)
        return wrong_field(path + ".tool_calls", "absent unless the role is assistant",
                           object.if_contains("tool_calls"));
    const auto* content = object.if_contains("content");
    const bool has_content = content != nullptr && !content->is_null();
    if (!has_content && *role == Role::assistant) {
        const auto* refusal = string_member(&object, "refusal");
        ChatMessage message{*role, refusal != nullptr ? std::string(*refusal) : std::string()};
        message.calls = *std::move(calls);
        return message;
    }
    auto text = parse_content(content, kind, path + ".content");
    if (!text) return text.error();
    ChatMessage message{*role, *std::move(text)};
    message.calls = *std::move(calls);
    if (!is_chat) return message;
    FieldReader fields(object, path + ".");
    message.call_id = fields.string("tool_call_id").value_or("");
    message.name = fields.string("name");
    if (const auto& problem = fields.error()) return *problem;
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
    } else if (!messages.empty() && !messages.back().calls.empty()) {
        fields.fail(continues, "false or absent if the last message has calls of tools");
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
