#include "server/api/chat_completions.hpp"

#include <utility>

#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"
#include "server/api/message_fields.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

result<std::vector<ChatMessage>> parse_messages(const json::object& body) {
    const auto* list = body.if_contains("messages");
    const auto* array = list != nullptr ? list->if_array() : nullptr;
    if (array == nullptr || array->empty() || array->size() > max_messages)
        return wrong_field("messages", "a list of 1 to " + std::to_string(max_messages) + " messages", list);
    std::vector<ChatMessage> messages;
    messages.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i) {
        auto message = parse_message((*array)[i], BodyKind::chat, "messages[" + std::to_string(i) + "]");
        if (!message) return message.error();
        messages.push_back(*std::move(message));
    }
    return messages;
}

}  // namespace

ChatPrompt parse_chat_prompt(const json::object& body, FieldReader& fields) {
    ChatPrompt prompt;
    auto messages = parse_messages(body);
    fields.ignore("messages");  // parse_messages() reads this field directly from `body`
    if (messages) {
        prompt.messages = *std::move(messages);
    } else {
        fields.fail(std::move(messages).error());
    }
    prompt.end = parse_prompt_end(fields, prompt.messages);
    prompt.inputs.kwargs = parse_template_kwargs(fields);
    prompt.inputs.documents = parse_objects(fields, "documents");
    prompt.add_special_tokens = fields.boolean("add_special_tokens").value_or(true);
    return prompt;
}

json::array parse_rendered_tools(const json::object& body, FieldReader& fields) {
    json::array tools = parse_objects(fields, "tools");
    const auto* choice = body.if_contains("tool_choice");
    const bool is_none = choice != nullptr && *choice == "none";
    return is_none ? json::array() : tools;
}

namespace {

enum class Tools { refused, rendered };

result<ChatRequest> parse_request(std::string_view body, UnknownFields unknown, Tools tools) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    ChatRequest request;
    request.prompt = parse_chat_prompt(*object, fields);
    if (tools == Tools::rendered) request.prompt.inputs.tools = parse_rendered_tools(*object, fields);
    request.generation = parse_generation_fields(fields, BodyKind::chat, unknown);
    request.generation.sampling.num_logprobs = parse_chat_logprobs(fields);
    request.echo = fields.boolean("echo").value_or(false);
    auto& generation = request.generation;
    generation.prompt_logprobs = parse_prompt_logprobs(fields, generation.stream);
    generation.num_prompt_logprobs = generation.prompt_logprobs;
    const auto zero = generation.prompt_logprobs >= 0 ? ZeroTokens::allowed : ZeroTokens::refused;
    generation.max_tokens = parse_max_tokens(fields, {"max_completion_tokens", "max_tokens", "n_predict"},
                                             generation.sampling, std::nullopt, zero);
    check_other_fields(fields, BodyKind::chat, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

}  // namespace

result<ChatRequest> parse_chat_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Tools::refused);
}

result<ChatRequest> parse_render_request(std::string_view body, UnknownFields unknown) {
    return parse_request(body, unknown, Tools::rendered);
}

// Returns the text that precedes the generated text of each choice; empty unless the request has `echo`.
const std::string& ChatAnswerWriter::echoed() const {
    return context_.prompts.empty() ? no_text : context_.prompts.front().text;
}

ChatAnswerWriter::ChatAnswerWriter(AnswerContext context) : AnswerWriter(std::move(context)) {
    prefix_ = "data: ";
    append_identity(prefix_, context_.identity, "chat.completion.chunk");
}

// Appends `,"logprobs":..,` and, if the request asked for it, `"token_ids":..,`.
template <class Out>
void ChatAnswerWriter::append_tokens(Out& out, const LogDelta& delta) const {
    tail_of(out) += R"(,"logprobs":)";
    append_chat_logprobs(out, context_.texts(), delta.logprobs, context_.fields.sampling.num_logprobs);
    tail_of(out) += ',';
    if (!context_.fields.return_token_ids) return;
    tail_of(out) += R"("token_ids":)";
    append_token_ids(out, delta.token_ids);
    tail_of(out) += ',';
}

Document ChatAnswerWriter::whole(std::span<const LogDelta> outputs, const Usage& usage) const {
    Document out;
    append_identity(out.tail(), context_.identity, "chat.completion");
    out.tail() += R"(,"choices":[)";
    for (const LogDelta& choice : outputs) {
        if (choice.output > 0) out.tail() += ',';
        out.tail() += R"({"index":)";
        append_json_number(out.tail(), std::int64_t{choice.output});
        out.tail() += R"(,"message":{"role":"assistant","content":)";
        append_echoed_text(out, echoed(), choice.text);
        out.tail() += R"(,"refusal":null})";
        append_tokens(out, choice);
        append_finish(out.tail(), choice, context_.fields.sampling.stop);
        out.tail() += '}';
    }
    out.tail() += R"(],"usage":)";
    append_usage(out.tail(), usage);
    if (context_.fields.return_token_ids) {
        out.tail() += R"(,"prompt_token_ids":)";
        append_token_ids(out, context_.prompts.front().token_ids);
    }
    if (context_.fields.prompt_logprobs >= 0) {
        out.tail() += R"(,"prompt_logprobs":)";
        append_prompt_logprobs(out, context_.tokenizer, outputs.front().prompt_logprobs,
                               context_.fields.num_prompt_logprobs, context_.fields.prompt_logprobs);
    }
    out.tail() += '}';
    return out;
}

void ChatAnswerWriter::append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) {
    const bool ends = delta.finish != FinishReason::none;
    // Logprobs and token ids are sent even if the text of their tokens is still held back.
    const bool has_tokens = !delta.logprobs.empty() || !delta.token_ids.empty();
    if (delta.text.empty() && !has_tokens && !ends) return;
    // The first chunks of the choices are sent in the order of the choices' indexes, because openai's stream
    // helper for Python numbers choices in order of arrival.
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
    const bool begins = delta.output == num_started_;
    if (begins) {
        out += R"("role":"assistant",)";
        ++num_started_;
    }
    out += R"("content":)";
    append_echoed_text(out, begins ? echoed() : no_text, delta.text);
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

void ChatAnswerWriter::end_chunk(std::string& out, const Usage& usage) const {
    out += ']';
    if (context_.fields.continuous_usage) {
        out += R"(,"usage":)";
        append_usage(out, usage);
    }
    out += "}\n\n";
}

}  // namespace solard::server
