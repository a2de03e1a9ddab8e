#include "server/api/chat_completions.hpp"

#include <array>

#include "server/api/fields.hpp"
#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::size_t max_messages = 1024;

// A text, or a list of text parts as vllm bench and guidellm send it.
result<std::string> parse_content(const json::value& value, const std::string& path) {
    if (value.is_string()) return std::string(value.get_string());
    if (!value.is_array())
        return Error{errc::invalid_value, path + " must be a string or a list of text parts.", path};
    std::string text;
    for (const auto& part : value.get_array()) {
        const auto* object = part.if_object();
        const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
        const auto* content = object != nullptr ? object->if_contains("text") : nullptr;
        if (type == nullptr || !type->is_string())
            return Error{errc::invalid_value, path + " must hold parts with a type.", path};
        if (type->get_string() != "text")
            return Error{errc::unsupported_input, path + " may hold text parts only; this model reads text.",
                         path};
        if (content == nullptr || !content->is_string())
            return Error{errc::invalid_value, path + " holds a text part without text.", path};
        text += std::string_view(content->get_string());
    }
    return text;
}

result<Role> parse_role(const json::value& value, const std::string& path) {
    const std::string_view name = value.is_string() ? std::string_view(value.get_string()) : "";
    if (name == "user") return Role::user;
    if (name == "assistant") return Role::assistant;
    if (name == "system" || name == "developer") return Role::system;
    return Error{errc::invalid_value, path + " must be one of system, developer, user, assistant.", path};
}

result<ChatMessage> parse_message(const json::value& value, const std::string& path) {
    const auto* object = value.if_object();
    if (object == nullptr) return Error{errc::invalid_value, path + " must be an object.", path};
    const auto* role = object->if_contains("role");
    const auto* content = object->if_contains("content");
    if (role == nullptr) return Error{errc::invalid_value, path + ".role is missing.", path + ".role"};
    if (content == nullptr)
        return Error{errc::invalid_value, path + ".content is missing.", path + ".content"};
    FieldReader fields(*object, path + ".");
    fields.refuse_unless_neutral({"tool_calls", "function_call", "audio"});
    if (const auto& problem = fields.error()) return *problem;
    auto parsed_role = parse_role(*role, path + ".role");
    if (!parsed_role) return parsed_role.error();
    auto text = parse_content(*content, path + ".content");
    if (!text) return text.error();
    return ChatMessage{*parsed_role, *std::move(text)};
}

result<std::vector<ChatMessage>> parse_messages(const json::object& body) {
    const auto* list = body.if_contains("messages");
    const auto* array = list != nullptr ? list->if_array() : nullptr;
    if (array == nullptr)
        return Error{errc::invalid_value, "messages must be a list of messages.", "messages"};
    if (array->empty() || array->size() > max_messages)
        return Error{errc::invalid_value, "messages must hold 1 to 1024 messages.", "messages"};
    std::vector<ChatMessage> messages;
    messages.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i) {
        auto message = parse_message((*array)[i], "messages[" + std::to_string(i) + "]");
        if (!message) return message.error();
        messages.push_back(*std::move(message));
    }
    return messages;
}

}  // namespace

result<ChatRequest> parse_chat_request(std::string_view body) {
    auto parsed = parse_json(body);
    if (!parsed) return parsed.error();
    const auto* object = parsed->if_object();
    if (object == nullptr) return Error{errc::invalid_json, "The body must be a JSON object."};

    ChatRequest request;
    auto messages = parse_messages(*object);
    if (!messages) return messages.error();
    request.messages = *std::move(messages);

    FieldReader fields(*object);
    request.model = fields.string("model").value_or("");
    request.sampling = parse_sampling_fields(fields);
    request.sampling.num_logprobs = parse_chat_logprobs(fields);
    request.stream = fields.boolean("stream").value_or(false);
    // The new name wins where a client sends both.
    const auto max_tokens = fields.integer("max_tokens", 1, max_token_count);
    const auto max_completion_tokens = fields.integer("max_completion_tokens", 1, max_token_count);
    if (const auto limit = max_completion_tokens ? max_completion_tokens : max_tokens)
        request.max_tokens = static_cast<std::int32_t>(*limit);
    if (const auto* options = fields.object("stream_options")) {
        FieldReader stream_fields(*options, "stream_options.");
        request.include_usage = stream_fields.boolean("include_usage").value_or(false);
        stream_fields.refuse_unless_neutral({"continuous_usage_stats"});
        if (const auto& problem = stream_fields.error()) return *problem;
        if (!request.stream)
            return Error{errc::invalid_value, "stream_options needs stream to be true.", "stream_options"};
    }
    fields.refuse_unless_neutral(chat_fields_not_served());
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

std::string_view name_of(FinishReason reason) {
    return reason == FinishReason::length ? "length" : "stop";
}

namespace {

void append_identity(std::string& out, const ChatIdentity& identity, std::string_view object) {
    out += R"({"id":)";
    append_json_string(out, identity.id);
    out.append(R"(,"object":")").append(object).append(R"(","created":)");
    append_json_number(out, identity.created);
    out += R"(,"model":)";
    append_json_string(out, identity.model);
}

void append_usage(std::string& out, Usage usage) {
    out += R"({"prompt_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.prompt_tokens));
    out += R"(,"completion_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.completion_tokens));
    out += R"(,"total_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.prompt_tokens + usage.completion_tokens));
    out += R"(,"prompt_tokens_details":{"cached_tokens":)";
    append_json_number(out, std::int64_t{usage.cached_tokens});
    out += "}}";
}

// The end of a choice, with the brace that closes it. `stop_reason` is vLLM's name for which stop it was.
void append_finish(std::string& out, const LogDelta& delta, std::span<const std::string> stops) {
    out.append(R"("finish_reason":")").append(name_of(delta.finish)).append(R"(","stop_reason":)");
    if (delta.stop.index >= 0) {
        append_json_string(out, stops[static_cast<std::size_t>(delta.stop.index)]);
    } else if (delta.stop.token >= 0) {
        append_json_number(out, std::int64_t{delta.stop.token});
    } else {
        out += "null";
    }
    out += '}';
}

}  // namespace

std::string chat_completion_json(const ChatContext& context, std::span<const LogDelta> choices, Usage usage) {
    std::string out;
    append_identity(out, context.identity, "chat.completion");
    out += R"(,"choices":[)";
    for (const LogDelta& choice : choices) {
        if (choice.output > 0) out += ',';
        out += R"({"index":)";
        append_json_number(out, std::int64_t{choice.output});
        out += R"(,"message":{"role":"assistant","content":)";
        append_json_string(out, choice.text);
        out += R"(,"refusal":null},"logprobs":)";
        append_chat_logprobs(out, context.tokenizer, choice.logprobs, context.sampling.num_logprobs);
        out += ',';
        append_finish(out, choice, context.sampling.stop);
    }
    out += R"(],"usage":)";
    append_usage(out, usage);
    out += '}';
    return out;
}

ChatChunkWriter::ChatChunkWriter(const ChatContext& context) : context_(context) {
    prefix_ = "data: ";
    append_identity(prefix_, context.identity, "chat.completion.chunk");
    prefix_ += R"(,"choices":)";
}

void ChatChunkWriter::append(std::string& out, const LogDelta& delta) {
    const bool ends = delta.finish != FinishReason::none;
    // Logprobs whose text is held back do not wait for it.
    if (delta.text.empty() && delta.logprobs.empty() && !ends) return;
    // Choices begin in order, since openai's stream helper for Python numbers them as they come.
    while (num_started_ < delta.output) text_chunk(out, {.output = num_started_});
    const bool begins = delta.output == num_started_;
    if (begins && (!delta.logprobs.empty() || delta.text.empty())) text_chunk(out, {.output = delta.output});
    LogDelta rest = delta;
    if (!delta.text.empty() || !ends) {
        text_chunk(out, delta);
        rest.logprobs = {};
    }
    if (ends) finish_chunk(out, rest);
}

void ChatChunkWriter::text_chunk(std::string& out, const LogDelta& delta) {
    out += prefix_;
    out += R"([{"index":)";
    append_json_number(out, std::int64_t{delta.output});
    out += R"(,"delta":{)";
    if (delta.output == num_started_) {
        out += R"("role":"assistant",)";
        ++num_started_;
    }
    out += R"("content":)";
    append_json_string(out, delta.text);
    out += '}';
    append_logprobs(out, delta.logprobs);
    out += R"("finish_reason":null}]})";
    out += "\n\n";
}

void ChatChunkWriter::finish_chunk(std::string& out, const LogDelta& delta) const {
    out += prefix_;
    out += R"([{"index":)";
    append_json_number(out, std::int64_t{delta.output});
    out += R"(,"delta":{})";
    append_logprobs(out, delta.logprobs);
    append_finish(out, delta, context_.sampling.stop);
    out += "]}\n\n";
}

void ChatChunkWriter::append_logprobs(std::string& out, std::span<const TokenLogprob> logprobs) const {
    out += R"(,"logprobs":)";
    append_chat_logprobs(out, context_.tokenizer, logprobs, context_.sampling.num_logprobs);
    out += ',';
}

void ChatChunkWriter::usage(std::string& out, Usage usage) const {
    out += prefix_;
    out += R"([],"usage":)";
    append_usage(out, usage);
    out += "}\n\n";
}

}  // namespace solard
