#include "server/api/chat_completions.hpp"

#include <algorithm>
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

result<ChatRequest> parse_chat_request(std::string_view body, UnknownFields unknown) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    ChatRequest request;
    request.prompt = parse_chat_prompt(*object, fields);
    request.generation = parse_generation_fields(fields, BodyKind::chat, unknown);
    request.generation.tools = parse_tool_fields(fields, BodyKind::chat).tools;
    if (auto& tools = request.generation.tools) request.prompt.inputs.tools = std::move(tools->described);
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

namespace {

std::string_view type_of(const AnswerItem& call) {
    return call.kind == AnswerItem::Kind::custom_call ? "custom" : "function";
}

// Returns the number of calls before the delta's item.
std::size_t call_index(const LogDelta& delta) {
    return static_cast<std::size_t>(
        std::ranges::count_if(delta.items.first(static_cast<std::size_t>(delta.item)), &AnswerItem::is_call));
}

const AnswerItem& item_of(const LogDelta& delta) {
    return delta.items[static_cast<std::size_t>(delta.item)];
}

// Appends `"id":..}` with the type, the name and the content of a call.
template <class Out, class Content>
void append_call(Out& out, const AnswerItem& call, Content append_content) {
    std::string& text = tail_of(out);
    text += R"("id":)";
    append_json_string(text, call.id);
    text.append(R"(,"type":")").append(type_of(call)).append("\",\"").append(type_of(call));
    text += R"(":{"name":)";
    append_json_string(text, call.name);
    text.append(",\"").append(content_name(call)).append(R"(":")");
    append_content();
    tail_of(out) += R"("}})";
}

// Appends the content of one of the choice's items when the document is rendered.
void append_item(Document& out, const LogDelta& choice, std::size_t item) {
    append_sliced(out, choice.content_of(choice.items[item]).size(),
                  [&choice, item] { return choice.content_of(choice.items[item]); });
}

}  // namespace

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
        append_message(out, choice);
        out.tail() += '}';
        append_tokens(out, choice);
        append_finish(out.tail(), chat_finish_reason(choice), choice, context_.fields.sampling.stop);
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

// Appends the message's content and calls: `..,"refusal":null`. The document reads `choice` when it is
// rendered.
void ChatAnswerWriter::append_message(Document& out, const LogDelta& choice) const {
    if (choice.items.empty()) {
        append_echoed_text(out, echoed(), choice.text);
        out.tail() += R"(,"refusal":null)";
        return;
    }
    const auto num_calls = std::ranges::count_if(choice.items, &AnswerItem::is_call);
    if (std::cmp_equal(num_calls, choice.items.size()) && echoed().empty()) {
        out.tail() += "null";
    } else {
        out.tail() += '"';
        append_characters(out, echoed());
        for (std::size_t i = 0; i < choice.items.size(); ++i)
            if (!choice.items[i].is_call()) append_item(out, choice, i);
        out.tail() += '"';
    }
    out.tail() += R"(,"refusal":null)";
    if (num_calls == 0) return;
    out.tail() += R"(,"tool_calls":[)";
    bool is_first = true;
    for (std::size_t i = 0; i < choice.items.size(); ++i) {
        if (!choice.items[i].is_call()) continue;
        out.tail() += std::exchange(is_first, false) ? "{" : ",{";
        append_call(out, choice.items[i], [&] { append_item(out, choice, i); });
    }
    out.tail() += ']';
}

void ChatAnswerWriter::append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) {
    const bool ends = delta.finish != FinishReason::none;
    // Logprobs and token ids are sent even if the text of their tokens is still held back.
    const bool has_tokens = !delta.logprobs.empty() || !delta.token_ids.empty();
    const bool is_call = delta.item >= 0 && item_of(delta).is_call();
    const bool begins_call = is_call && call_index(delta) == num_calls_[delta.output];
    if (delta.text.empty() && !has_tokens && !ends && !begins_call) return;
    // The first chunks of the choices are sent in the order of the choices' indexes, because openai's stream
    // helper for Python numbers choices in order of arrival.
    while (num_started_ < delta.output) text_chunk(out, {.output = num_started_}, usage);
    const bool begins = delta.output == num_started_;
    if (begins && (!delta.logprobs.empty() || delta.text.empty()))
        text_chunk(out, {.output = delta.output}, usage);
    LogDelta rest = delta;
    const auto tokens_are_sent = [&rest] {
        rest.logprobs = {};
        rest.token_ids = {};
    };
    if (begins_call) {
        call_chunk(out, rest, CallPart::beginning, usage);
        ++num_calls_[delta.output];
        tokens_are_sent();
    }
    const bool has_unsent_tokens = has_tokens && !begins_call;
    if (!delta.text.empty() || (has_unsent_tokens && !ends)) {
        is_call ? call_chunk(out, rest, CallPart::arguments, usage) : text_chunk(out, rest, usage);
        tokens_are_sent();
    }
    if (ends) finish_chunk(out, rest, usage);
}

// Appends the beginning of a chunk's only choice, up to the members of its delta.
void ChatAnswerWriter::begin_delta(std::string& out, std::uint32_t output) {
    out += R"({"index":)";
    append_json_number(out, std::int64_t{output});
    out += R"(,"delta":{)";
    if (output != num_started_) return;
    out += R"("role":"assistant",)";
    ++num_started_;
}

void ChatAnswerWriter::text_chunk(std::string& out, const LogDelta& delta, const Usage& usage) {
    begin_chunk(out);
    const bool begins = delta.output == num_started_;
    begin_delta(out, delta.output);
    out += R"("content":)";
    append_echoed_text(out, begins ? echoed() : no_text, delta.text);
    out += '}';
    append_tokens(out, delta);
    out += R"("finish_reason":null})";
    end_chunk(out, usage);
}

// Appends a chunk with the beginning of the delta's call, or with a part of its arguments.
void ChatAnswerWriter::call_chunk(std::string& out, const LogDelta& delta, CallPart part,
                                  const Usage& usage) {
    begin_chunk(out);
    begin_delta(out, delta.output);
    const AnswerItem& call = item_of(delta);
    out += R"("tool_calls":[{"index":)";
    append_json_number(out, static_cast<std::int64_t>(call_index(delta)));
    out += ',';
    if (part == CallPart::beginning) {
        append_call(out, call, [] {});
    } else {
        out.append("\"").append(type_of(call)).append(R"(":{")").append(content_name(call)).append(R"(":")");
        append_json_characters(out, delta.text);
        out += R"("}})";
    }
    out += "]}";
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
    append_finish(out, chat_finish_reason(delta), delta, context_.fields.sampling.stop);
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
