#include "server/api/anthropic_answer.hpp"

#include <utility>

#include "server/api/error.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

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
