#include "server/api/anthropic_messages.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

std::string_view text_or_empty(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

// Reads a string, or the texts of a list of blocks, which are joined with a line break.
result<std::string> parse_text(const json::value* value, const std::string& path) {
    return parse_content(value, BodyKind::responses, path);
}

// Reads the messages and appends them to a conversation.
class MessageReader {
  public:
    explicit MessageReader(std::vector<ChatMessage>& messages) : messages_(messages) {}

    result<void> read(const json::value& value, const std::string& path) {
        if (!value.is_object()) return wrong_field(path, "an object", &value);
        const json::object& object = value.get_object();
        const std::string_view role = text_or_empty(object, "role");
        if (role != "user" && role != "assistant" && role != "system")
            return wrong_field(path + ".role", "one of user, assistant, system", object.if_contains("role"));
        role_ = role == "user" ? Role::user : role == "assistant" ? Role::assistant : Role::system;
        const json::value* const content = object.if_contains("content");
        const std::string place = path + ".content";
        if (content == nullptr || !content->is_array()) {
            auto text = parse_text(content, place);
            if (!text) return text.error();
            messages_.push_back({role_, *std::move(text)});
            return {};
        }
        is_open_ = false;
        for (std::size_t i = 0; i < content->get_array().size(); ++i) {
            auto ok = read_block(content->get_array()[i], place + "[" + std::to_string(i) + "]");
            if (!ok) return ok.error();
        }
        if (content->get_array().empty()) messages_.push_back({role_, ""});
        return {};
    }

  private:
    // Returns the message to which the blocks of the role belong. The results of calls are messages of their
    // own.
    ChatMessage& current() {
        if (!std::exchange(is_open_, true)) messages_.push_back({role_, ""});
        return messages_.back();
    }

    result<void> read_block(const json::value& value, const std::string& path) {
        if (!value.is_object()) return wrong_field(path, "an object", &value);
        const json::object& block = value.get_object();
        const std::string_view type = text_or_empty(block, "type");
        if (type == "thinking" || type == "redacted_thinking") return {};
        if (type == "tool_use") return read_call(block, path);
        if (type == "tool_result") return read_result(block, path);
        auto text = parse_text(block.if_contains("text"), path + ".text");
        if (type != "text")
            return Error{errc::unsupported_input,
                         path + " has the type '" + shown(type) +
                             "'; this model accepts only blocks of the types text, tool_use and tool_result.",
                         path + ".type"};
        if (!text) return text.error();
        std::string& content = current().content;
        if (!content.empty()) content += '\n';
        content += *text;
        return {};
    }

    result<void> read_call(const json::object& block, const std::string& path) {
        const json::value* const input = block.if_contains("input");
        if (input == nullptr || !input->is_object()) return wrong_field(path + ".input", "an object", input);
        if (text_or_empty(block, "name").empty())
            return wrong_field(path + ".name", "a string", block.if_contains("name"));
        if (is_open_ && messages_.back().calls.size() == max_calls)
            return wrong_field(path + ".type",
                               "another type after " + std::to_string(max_calls) + " calls in one message",
                               nullptr);
        if (role_ != Role::assistant)
            return wrong_field(path + ".type", "another type unless the role is assistant", nullptr);
        current().calls.push_back({std::string(text_or_empty(block, "id")),
                                   std::string(text_or_empty(block, "name")), json::serialize(*input)});
        return {};
    }

    result<void> read_result(const json::object& block, const std::string& path) {
        if (role_ != Role::user)
            return wrong_field(path + ".type", "another type unless the role is user", nullptr);
        const json::value* const content = block.if_contains("content");
        ChatMessage message{Role::tool, ""};
        if (content != nullptr && !content->is_null()) {
            auto text = parse_text(content, path + ".content");
            if (!text) return text.error();
            message.content = *std::move(text);
        }
        message.call_id = text_or_empty(block, "tool_use_id");
        messages_.push_back(std::move(message));
        is_open_ = false;
        return {};
    }

    std::vector<ChatMessage>& messages_;
    Role role_ = Role::user;
    bool is_open_ = false;
};

result<std::vector<ChatMessage>> parse_conversation(const json::object& body) {
    std::vector<ChatMessage> messages;
    if (const auto* system = body.if_contains("system"); system != nullptr && !system->is_null()) {
        auto text = parse_text(system, "system");
        if (!text) return text.error();
        if (!text->empty()) messages.push_back({Role::system, *std::move(text)});
    }
    const auto* list = body.if_contains("messages");
    const auto* array = list != nullptr ? list->if_array() : nullptr;
    if (array == nullptr || array->empty() || array->size() > max_messages)
        return wrong_field("messages", "a list of 1 to " + std::to_string(max_messages) + " messages", list);
    MessageReader reader(messages);
    for (std::size_t i = 0; i < array->size(); ++i) {
        auto ok = reader.read((*array)[i], "messages[" + std::to_string(i) + "]");
        if (!ok) return ok.error();
        if (messages.size() > max_messages)
            return wrong_field(
                "messages",
                "shorter: with the system text and each result of a tool, they are more than " +
                    std::to_string(max_messages) + " messages",
                nullptr);
    }
    if (messages.empty()) return wrong_field("messages", "a list with some content", nullptr);
    return messages;
}

// Returns the tools and the choice in the form of Responses.
result<json::object> converted_tools(const json::object& body) {
    json::object out;
    const auto* tools = body.if_contains("tools");
    if (const auto* list = tools != nullptr ? tools->if_array() : nullptr) {
        json::array converted;
        for (const json::value& tool : *list) {
            json::value copy = tool;
            if (auto* const object = copy.if_object()) {
                const auto* type = object->if_contains("type");
                if (type == nullptr || type->is_null() || *type == "custom") (*object)["type"] = "function";
                if (const auto* schema = object->if_contains("input_schema"))
                    (*object)["parameters"] = *schema;
            }
            converted.push_back(std::move(copy));
        }
        out["tools"] = std::move(converted);
    } else if (tools != nullptr) {
        out["tools"] = *tools;
    }
    const auto* choice = body.if_contains("tool_choice");
    if (choice == nullptr || choice->is_null()) return out;
    const auto* object = choice->if_object();
    const std::string_view type = object != nullptr ? text_or_empty(*object, "type") : "";
    if (type == "auto" || type == "none") {
        out["tool_choice"] = type;
    } else if (type == "any") {
        out["tool_choice"] = "required";
    } else if (type == "tool") {
        out["tool_choice"] = {{"type", "function"}, {"name", text_or_empty(*object, "name")}};
    } else {
        return wrong_field("tool_choice", "an object with the type auto, any, tool or none", choice);
    }
    const auto* serial = object->if_contains("disable_parallel_tool_use");
    if (serial != nullptr && *serial == true) out["parallel_tool_calls"] = false;
    return out;
}

std::optional<Tools> parse_tools(const json::object& body, FieldReader& fields) {
    auto converted = converted_tools(body);
    if (!converted) return fields.fail(converted.error()), std::nullopt;
    FieldReader inner(*converted);
    auto tools = parse_tool_fields(inner, BodyKind::responses).tools;
    const std::optional<Error>& found = inner.error();
    if (!found) return tools;
    Error problem = *found;
    constexpr std::string_view parameters = ".parameters";
    if (problem.param.ends_with(parameters)) {
        const std::string place = problem.param.substr(0, problem.param.size() - parameters.size());
        problem.message.replace(place.size(), parameters.size(), ".input_schema");
        problem.param = place + ".input_schema";
    }
    fields.fail(std::move(problem));
    return std::nullopt;
}

enum class Answer : std::uint8_t { generated, counted };

result<MessagesRequest> parse_request(std::string_view body, UnknownFields unknown, Answer answer) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    MessagesRequest request;
    // Labels, hints for caches, and thinking, which the model does not do.
    for (const char* name : {"cache_control", "container", "context_management", "inference_geo", "metadata",
                             "service_tier", "speed", "thinking"})
        fields.ignore(name);
    for (const char* name : {"messages", "system", "tools", "tool_choice"}) fields.ignore(name);
    auto messages = parse_conversation(*object);
    if (messages) {
        request.prompt.messages = *std::move(messages);
        if (request.prompt.messages.back().role == Role::assistant &&
            request.prompt.messages.back().calls.empty())
            request.prompt.end = PromptEnd::continued_message;
    } else {
        fields.fail(std::move(messages).error());
    }
    auto& generation = request.generation;
    generation.model = fields.string("model").value_or("");
    generation.sampling = parse_sampling_fields(fields);
    if (generation.sampling.num_choices > 1) fields.fail("n", "1 or absent");
    if (object->contains("stop_sequences")) generation.sampling.stop = fields.stop("stop_sequences");
    generation.tools = parse_tools(*object, fields);
    if (auto& tools = generation.tools) request.prompt.inputs.tools = std::move(tools->described);
    generation.stream = fields.boolean("stream").value_or(false);
    generation.cache_salt = parse_cache_salt(fields);
    if (answer == Answer::counted) {
        fields.ignore("max_tokens");
    } else {
        generation.max_tokens = parse_max_tokens(fields, {"max_tokens"}, generation.sampling);
        if (!generation.max_tokens) fields.fail("max_tokens", "an integer of at least 1");
    }
    for (const char* name : {"mcp_servers", "output_format"}) {
        const auto* value = object->if_contains(name);
        fields.ignore(name);
        if (value != nullptr && !value->is_null() && *value != json::array()) fields.refuse(name);
    }
    if (const auto* config = fields.object("output_config")) {
        FieldReader inner(*config, "output_config.");
        inner.ignore("effort");
        const auto* format = config->if_contains("format");
        if (format != nullptr && !format->is_null()) inner.refuse("format");
        if (const auto& problem = inner.error()) fields.fail(*problem);
    }
    check_other_fields(fields, BodyKind::chat, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

}  // namespace

result<MessagesRequest> parse_messages_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Answer::generated);
}

result<MessagesRequest> parse_count_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Answer::counted);
}

}  // namespace solard::server
