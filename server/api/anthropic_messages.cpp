#include "server/api/anthropic_messages.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "server/api/error.hpp"
#include "server/api/json.hpp"
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

void append_number(std::string& out, std::string_view name, std::size_t value) {
    out.append(name);
    append_json_number(out, static_cast<std::int64_t>(value));
}

// Appends the usage. The input tokens are those which were not found in the prefix cache.
void append_messages_usage(std::string& out, const Usage& usage) {
    const auto cached = static_cast<std::size_t>(usage.cached_tokens);
    append_number(out, R"({"input_tokens":)", usage.prompt_tokens - cached);
    append_number(out, R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":)", cached);
    append_number(out, R"(,"output_tokens":)", usage.completion_tokens);
    out += '}';
}

// Appends `"stop_reason":..,"stop_sequence":..`.
void append_stop(std::string& out, const LogDelta& answer, const SamplingFields& sampling) {
    const std::string_view reason = answer.finish == FinishReason::length        ? "max_tokens"
                                    : answer.stop.index >= 0                     ? "stop_sequence"
                                    : chat_finish_reason(answer) == "tool_calls" ? "tool_use"
                                                                                 : "end_turn";
    out.append(R"("stop_reason":")").append(reason).append(R"(","stop_sequence":)");
    if (answer.stop.index >= 0) {
        append_json_string(out, sampling.stop[static_cast<std::size_t>(answer.stop.index)]);
    } else {
        out += "null";
    }
}

// Appends `"type":"tool_use","id":..,"name":..,"input":`.
void append_call_head(std::string& out, const AnswerItem& call) {
    constexpr std::string_view prefix = "call_";
    const std::string id = call.id.starts_with(prefix) ? "toolu_" + call.id.substr(prefix.size()) : call.id;
    out += R"("type":"tool_use","id":)";
    append_json_string(out, id);
    out += R"(,"name":)";
    append_json_string(out, call.name);
    out += R"(,"input":)";
}

// Appends `{"id":..,"type":"message","role":"assistant","model":..,"content":[`.
void append_message_head(std::string& out, const AnswerIdentity& identity) {
    out += R"({"id":)";
    append_json_string(out, identity.id);
    out += R"(,"type":"message","role":"assistant","model":)";
    append_json_string(out, identity.model);
    out += R"(,"content":[)";
}

void open_event(std::string& out, std::string_view type) {
    out.append("event: ").append(type).append("\ndata: {\"type\":\"").append(type).append("\"");
}

std::string_view messages_error_type(errc code) {
    const unsigned status = error_info(code).status;
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 503:
            return "overloaded_error";
        default:
            return status < 500 ? "invalid_request_error" : "api_error";
    }
}

// Appends `{"type":"error","error":{..}` without the last bracket.
void append_messages_error(std::string& out, const Error& error) {
    out.append(R"({"type":"error","error":{"type":")").append(messages_error_type(error.code));
    out += R"(","message":)";
    append_json_string(out, message_of(error));
    out += '}';
}

}  // namespace

result<MessagesRequest> parse_messages_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Answer::generated);
}

result<MessagesRequest> parse_count_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Answer::counted);
}

void MessagesAnswerWriter::append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) {
    if (!std::exchange(has_begun_, true)) {
        open_event(out, "message_start");
        out += R"(,"message":)";
        append_message_head(out, context_.identity);
        out += R"(],"stop_reason":null,"stop_sequence":null,"usage":)";
        append_messages_usage(out, usage);
        out += "}}\n\n";
    }
    const bool may_call = context_.fields.tools.has_value();
    const std::ptrdiff_t block = may_call ? delta.item : delta.text.empty() ? block_ : 0;
    if (block != block_) {
        end_block(out);
        block_ = block;
        begin_block(out, delta);
    }
    if (!delta.text.empty()) append_delta(out, delta);
    if (delta.finish == FinishReason::none) return;
    end_block(out);
    open_event(out, "message_delta");
    out += R"(,"delta":{)";
    append_stop(out, delta, context_.fields.sampling);
    out += R"(},"usage":)";
    append_messages_usage(out, usage);
    out += "}\n\n";
    open_event(out, "message_stop");
    out += "}\n\n";
}

void MessagesAnswerWriter::begin_block(std::string& out, const LogDelta& delta) {
    is_open_ = true;
    open_event(out, "content_block_start");
    append_number(out, R"(,"index":)", static_cast<std::size_t>(block_));
    out += R"(,"content_block":{)";
    const AnswerItem* const item =
        delta.items.empty() ? nullptr : &delta.items[static_cast<std::size_t>(block_)];
    if (item != nullptr && item->is_call()) {
        append_call_head(out, *item);
        out += "{}";
    } else {
        out += R"("type":"text","text":"")";
    }
    out += "}}\n\n";
}

void MessagesAnswerWriter::append_delta(std::string& out, const LogDelta& delta) const {
    open_event(out, "content_block_delta");
    append_number(out, R"(,"index":)", static_cast<std::size_t>(block_));
    const bool is_call = !delta.items.empty() && delta.items[static_cast<std::size_t>(block_)].is_call();
    out += is_call ? R"(,"delta":{"type":"input_json_delta","partial_json":")"
                   : R"(,"delta":{"type":"text_delta","text":")";
    append_json_characters(out, delta.text);
    out += "\"}}\n\n";
}

void MessagesAnswerWriter::end_block(std::string& out) {
    if (!std::exchange(is_open_, false)) return;
    open_event(out, "content_block_stop");
    append_number(out, R"(,"index":)", static_cast<std::size_t>(block_));
    out += "}\n\n";
}

void MessagesAnswerWriter::append_error(std::string& out, const Error& error) const {
    out += "event: error\ndata: ";
    append_messages_error(out, error);
    out += "}\n\n";
}

Document MessagesAnswerWriter::whole(std::span<const LogDelta> outputs, const Usage& usage) const {
    Document out;
    const LogDelta& answer = outputs.front();
    append_message_head(out.tail(), context_.identity);
    const bool may_call = context_.fields.tools.has_value();
    const std::size_t num_blocks = may_call ? answer.items.size() : answer.text.empty() ? 0 : 1;
    for (std::size_t i = 0; i < num_blocks; ++i) {
        out.tail() += i > 0 ? ",{" : "{";
        const bool is_call = may_call && answer.items[i].is_call();
        if (is_call) {
            append_call_head(out.tail(), answer.items[i]);
            // The arguments of a call that was cut are no JSON.
            out.tail() += answer.items[i].is_complete ? answer.content_of(answer.items[i]) : "{}";
            out.tail() += '}';
            continue;
        }
        out.tail() += R"("type":"text","text":")";
        append_sliced(
            out, may_call ? answer.content_of(answer.items[i]).size() : answer.text.size(),
            [&answer, may_call, i] { return may_call ? answer.content_of(answer.items[i]) : answer.text; });
        out.tail() += "\"}";
    }
    out.tail() += "],";
    append_stop(out.tail(), answer, context_.fields.sampling);
    out.tail() += R"(,"usage":)";
    append_messages_usage(out.tail(), usage);
    out.tail() += '}';
    return out;
}

bool is_messages_path(std::string_view path) {
    return path == "/v1/messages" || path.starts_with("/v1/messages/");
}

std::string messages_error_body(const Error& error, std::string_view request_id) {
    std::string body;
    append_messages_error(body, error);
    body += R"(,"request_id":)";
    append_json_string(body, request_id);
    return body + "}";
}

std::string messages_count_json(std::size_t num_tokens) {
    std::string out;
    append_number(out, R"({"input_tokens":)", num_tokens);
    return out + "}";
}

}  // namespace solard::server
