#include "server/api/chat_completions.hpp"

#include <utility>

#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard::server {
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

// vLLM's two switches; an answer can either begin or go on.
PromptEnd parse_prompt_end(FieldReader& fields, const std::vector<ChatMessage>& messages) {
    constexpr std::string_view continues = "continue_final_message";
    const auto generation_prompt = fields.boolean("add_generation_prompt");
    if (!fields.boolean(continues).value_or(false))
        return generation_prompt.value_or(true) ? PromptEnd::assistant_turn : PromptEnd::last_message;
    if (generation_prompt.value_or(false)) {
        fields.fail(continues, "false or absent where add_generation_prompt is true");
    } else if (!messages.empty() && messages.back().role != Role::assistant) {
        fields.fail(continues, "false or absent unless the last message is the assistant's");
    }
    return PromptEnd::last_message;
}

}  // namespace

ChatPrompt parse_chat_prompt(const json::object& body, FieldReader& fields) {
    ChatPrompt prompt;
    auto messages = parse_messages(body);
    fields.ignore("messages");  // read without the reader
    if (messages) {
        prompt.messages = *std::move(messages);
    } else {
        fields.fail(std::move(messages).error());
    }
    prompt.end = parse_prompt_end(fields, prompt.messages);
    return prompt;
}

result<ChatRequest> parse_chat_request(std::string_view body, UnknownFields unknown) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    ChatRequest request;
    request.prompt = parse_chat_prompt(*object, fields);
    request.generation = parse_generation_fields(fields, unknown);
    request.generation.sampling.num_logprobs = parse_chat_logprobs(fields);
    request.echo = fields.boolean("echo").value_or(false);
    // The new name wins where a client sends both.
    if (const auto limit = fields.integer("max_completion_tokens", 1, max_token_count))
        request.generation.max_tokens = static_cast<std::int32_t>(*limit);
    if (auto problem = check_rest(fields, unknown)) return *std::move(problem);
    return request;
}

// Before each choice's own text.
std::string_view ChatAnswerWriter::echoed() const {
    return context_.prompts.empty() ? std::string_view() : context_.prompts.front().text;
}

ChatAnswerWriter::ChatAnswerWriter(AnswerContext context) : AnswerWriter(std::move(context)) {
    prefix_ = "data: ";
    append_identity(prefix_, context_.identity, "chat.completion.chunk");
}

std::string ChatAnswerWriter::whole(std::span<const LogDelta> outputs, const Usage& usage) const {
    std::string out;
    append_identity(out, context_.identity, "chat.completion");
    out += R"(,"choices":[)";
    for (const LogDelta& choice : outputs) {
        if (choice.output > 0) out += ',';
        out += R"({"index":)";
        append_json_number(out, std::int64_t{choice.output});
        out += R"(,"message":{"role":"assistant","content":)";
        append_echoed_text(out, echoed(), choice.text);
        out += R"(,"refusal":null})";
        append_tokens(out, choice);
        append_finish(out, choice, context_.fields.sampling.stop);
        out += '}';
    }
    out += R"(],"usage":)";
    append_usage(out, usage);
    if (context_.fields.return_token_ids) {
        out += R"(,"prompt_token_ids":)";
        append_token_ids(out, context_.prompts.front().token_ids);
    }
    out += '}';
    return out;
}

void ChatAnswerWriter::append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) {
    const bool ends = delta.finish != FinishReason::none;
    // Logprobs and ids whose text is held back do not wait for it.
    const bool has_tokens = !delta.logprobs.empty() || !delta.token_ids.empty();
    if (delta.text.empty() && !has_tokens && !ends) return;
    // Choices begin in order, since openai's stream helper for Python numbers them as they come.
    while (num_started_ < delta.output) text_chunk(out, {.output = num_started_}, usage);
    const bool begins = delta.output == num_started_;
    if (begins && (!delta.logprobs.empty() || delta.text.empty()))
        text_chunk(out, {.output = delta.output}, usage);
    LogDelta rest = delta;
    if (!delta.text.empty() || !ends) {
        text_chunk(out, delta, usage);
        rest.logprobs = {};
        rest.token_ids = {};
    }
    if (ends) finish_chunk(out, rest, usage);
}

void ChatAnswerWriter::text_chunk(std::string& out, const LogDelta& delta, const Usage& usage) {
    begin_chunk(out);
    out += R"({"index":)";
    append_json_number(out, std::int64_t{delta.output});
    out += R"(,"delta":{)";
    std::string_view before;
    if (delta.output == num_started_) {
        out += R"("role":"assistant",)";
        ++num_started_;
        before = echoed();
    }
    out += R"("content":)";
    append_echoed_text(out, before, delta.text);
    out += '}';
    append_tokens(out, delta);
    out += R"("finish_reason":null})";
    end_chunk(out, usage);
}

void ChatAnswerWriter::finish_chunk(std::string& out, const LogDelta& delta, const Usage& usage) const {
    begin_chunk(out);
    out += R"({"index":)";
    append_json_number(out, std::int64_t{delta.output});
    out += R"(,"delta":{})";
    append_tokens(out, delta);
    append_finish(out, delta, context_.fields.sampling.stop);
    out += '}';
    end_chunk(out, usage);
}

void ChatAnswerWriter::append_usage_chunk(std::string& out, const Usage& usage) const {
    if (!context_.fields.include_usage) return;
    out += prefix_;
    out += R"(,"choices":[],"usage":)";
    append_usage(out, usage);
    out += "}\n\n";
}

void ChatAnswerWriter::begin_chunk(std::string& out) const {
    out += prefix_;
    if (context_.fields.return_token_ids && num_started_ == 0) {
        out += R"(,"prompt_token_ids":)";
        append_token_ids(out, context_.prompts.front().token_ids);
    }
    out += R"(,"choices":[)";
}

// `,"logprobs":..,` and, if asked for, `"token_ids":..,`
void ChatAnswerWriter::append_tokens(std::string& out, const LogDelta& delta) const {
    out += R"(,"logprobs":)";
    append_chat_logprobs(out, context_.tokenizer, delta.logprobs, context_.fields.sampling.num_logprobs);
    out += ',';
    if (!context_.fields.return_token_ids) return;
    out += R"("token_ids":)";
    append_token_ids(out, delta.token_ids);
    out += ',';
}

void ChatAnswerWriter::end_chunk(std::string& out, const Usage& usage) const {
    out += ']';
    if (context_.fields.continuous_usage) {
        out += R"(,"usage":)";
        append_usage(out, usage);
    }
    out += "}\n\n";
}

}  // namespace solard::server
