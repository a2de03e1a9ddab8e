#include "server/api/response_object.hpp"

#include <boost/json/serialize.hpp>

#include "server/api/error.hpp"
#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard {
namespace {

void append_optional_string(std::string& out, const std::optional<std::string>& text) {
    if (text) {
        append_json_string(out, *text);
    } else {
        out += "null";
    }
}

void append_part(std::string& out, std::string_view text, std::span<const TokenLogprob> logprobs,
                 const ResponseFacts& facts, const Tokenizer& tokenizer) {
    out += R"({"type":"output_text","text":)";
    append_json_string(out, text);
    out += R"(,"annotations":[],"logprobs":)";
    append_logprob_list(out, tokenizer, logprobs, facts.request.generation.sampling.num_logprobs);
    out += '}';
}

// The one output item; without a state as it is when it begins.
void append_item(std::string& out, const ResponseFacts& facts, const ResponseState* state,
                 const Tokenizer& tokenizer) {
    out += R"({"id":)";
    append_json_string(out, facts.item_id);
    out += R"(,"type":"message","role":"assistant","status":")";
    if (state == nullptr) {
        out += R"(in_progress","content":[]})";
        return;
    }
    out += state->status == ResponseStatus::completed ? "completed" : "incomplete";
    out += R"(","content":[)";
    append_part(out, state->text, state->logprobs, facts, tokenizer);
    out += "]}";
}

void append_response_usage(std::string& out, const Usage& usage) {
    const auto number = [&](std::string_view name, std::size_t value) {
        out.append(name);
        append_json_number(out, static_cast<std::int64_t>(value));
    };
    number(R"({"input_tokens":)", usage.prompt_tokens);
    number(R"(,"input_tokens_details":{"cached_tokens":)", static_cast<std::size_t>(usage.cached_tokens));
    number(R"(},"output_tokens":)", usage.completion_tokens);
    out += R"(,"output_tokens_details":{"reasoning_tokens":0})";
    number(R"(,"total_tokens":)", usage.prompt_tokens + usage.completion_tokens);
    out += '}';
}

// `"status":..` to `"incomplete_details":..`
void append_status(std::string& out, const ResponseState& state) {
    out.append(R"("status":")").append(name_of(state.status)).append("\"");
    if (state.is_terminal()) {
        out += R"(,"completed_at":)";
        append_json_number(out, state.completed_at);
    }
    out += R"(,"error":)";
    if (state.status == ResponseStatus::failed) {
        // The SDKs know few codes here; the message says the rest.
        out += R"({"code":"server_error","message":)";
        append_json_string(out, state.failure->message);
        out += '}';
    } else {
        out += "null";
    }
    out += R"(,"incomplete_details":)";
    if (state.status == ResponseStatus::incomplete) {
        out += R"({"reason":"max_output_tokens"})";
    } else {
        out += state.status == ResponseStatus::cancelled ? R"({"reason":"cancelled"})" : "null";
    }
}

// What the request asked for, from `"instructions":..` on.
void append_request(std::string& out, const ResponseFacts& facts) {
    const ResponseRequest& request = facts.request;
    out += R"("instructions":)";
    append_optional_string(out, request.instructions);
    out += R"(,"max_output_tokens":)";
    if (request.generation.max_tokens) {
        append_json_number(out, std::int64_t{*request.generation.max_tokens});
    } else {
        out += "null";
    }
    out.append(R"(,"metadata":)").append(boost::json::serialize(request.metadata));
    out += R"(,"parallel_tool_calls":true,"previous_response_id":)";
    append_optional_string(out, request.previous_response_id);
    out += R"(,"reasoning":{"effort":null,"summary":null},"store":)";
    out += request.store ? "true" : "false";
    out += R"(,"temperature":)";
    append_json_number(out, facts.temperature);
    out += R"(,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_logprobs":)";
    append_json_number(out, std::int64_t{std::max(request.generation.sampling.num_logprobs, 0)});
    out += R"(,"top_p":)";
    append_json_number(out, facts.top_p);
    out += R"(,"truncation":"disabled","user":)";
    append_optional_string(out, request.user);
}

void append_response(std::string& out, const ResponseFacts& facts, const ResponseState& state,
                     const Tokenizer& tokenizer) {
    out += R"({"id":)";
    append_json_string(out, facts.id);
    out += R"(,"object":"response","created_at":)";
    append_json_number(out, facts.created_at);
    out += R"(,"model":)";
    append_json_string(out, facts.model);
    out += ',';
    append_status(out, state);
    out += ',';
    append_request(out, facts);
    out += R"(,"output":[)";
    if (state.is_terminal() && state.has_output) append_item(out, facts, &state, tokenizer);
    out += R"(],"usage":)";
    if (state.is_terminal()) {
        append_response_usage(out, state.usage);
    } else {
        out += "null";
    }
    out += '}';
}

}  // namespace

std::string_view name_of(ResponseStatus status) {
    switch (status) {
        case ResponseStatus::queued:
            return "queued";
        case ResponseStatus::in_progress:
            return "in_progress";
        case ResponseStatus::completed:
            return "completed";
        case ResponseStatus::incomplete:
            return "incomplete";
        case ResponseStatus::cancelled:
            return "cancelled";
        case ResponseStatus::failed:
            return "failed";
    }
    return "";
}

std::string response_json(const ResponseFacts& facts, const ResponseState& state,
                          const Tokenizer& tokenizer) {
    std::string out;
    append_response(out, facts, state, tokenizer);
    return out;
}

void ResponseEvents::write(const ResponseState& state, const LogDelta* delta, std::size_t num_entries) {
    ResponseState begun = state;
    begun.status = ResponseStatus::in_progress;
    lifecycle(0, "response.created", begun);
    if (state.was_queued) {
        begun.status = ResponseStatus::queued;
        lifecycle(1, "response.queued", begun);
        begun.status = ResponseStatus::in_progress;
    }
    if (state.started) lifecycle(2, "response.in_progress", begun);
    if (state.has_output) {
        item(3, "response.output_item.added", nullptr);
        part(4, "response.content_part.added", nullptr);
    }
    const auto last = first_delta - 1 + static_cast<std::int64_t>(num_entries);
    if (delta != nullptr && is_new(last) && (!delta->text.empty() || !delta->logprobs.empty()))
        text(last, "response.output_text.delta", "delta", delta->text, delta->logprobs);
    if (state.is_terminal()) finish(state, num_entries);
}

void ResponseEvents::finish(const ResponseState& state, std::size_t num_entries) {
    const auto next = first_delta + static_cast<std::int64_t>(num_entries);
    if (state.has_output && state.status != ResponseStatus::failed) {
        if (is_new(next)) text(next, "response.output_text.done", "text", state.text, state.logprobs);
        part(next + 1, "response.content_part.done", &state);
        item(next + 2, "response.output_item.done", &state);
    }
    const bool cut = state.status == ResponseStatus::incomplete || state.status == ResponseStatus::cancelled;
    lifecycle(next + 3,
              state.status == ResponseStatus::failed ? "response.failed"
              : cut                                  ? "response.incomplete"
                                                     : "response.completed",
              state);
}

void ResponseEvents::lifecycle(std::int64_t number, std::string_view type, const ResponseState& state) {
    if (!is_new(number)) return;
    begin(number, type);
    out_ += R"(,"response":)";
    append_response(out_, facts_, state, tokenizer_);
    end();
}

void ResponseEvents::item(std::int64_t number, std::string_view type, const ResponseState* state) {
    if (!is_new(number)) return;
    begin(number, type);
    out_ += R"(,"output_index":0,"item":)";
    append_item(out_, facts_, state, tokenizer_);
    end();
}

void ResponseEvents::part(std::int64_t number, std::string_view type, const ResponseState* state) {
    if (!is_new(number)) return;
    begin(number, type);
    out_ += R"(,"item_id":)";
    append_json_string(out_, facts_.item_id);
    out_ += R"(,"output_index":0,"content_index":0,"part":)";
    const ResponseState nothing;
    const ResponseState& shown = state == nullptr ? nothing : *state;
    append_part(out_, shown.text, shown.logprobs, facts_, tokenizer_);
    end();
}

void ResponseEvents::text(std::int64_t number, std::string_view type, std::string_view name,
                          std::string_view text, std::span<const TokenLogprob> logprobs) {
    begin(number, type);
    out_ += R"(,"item_id":)";
    append_json_string(out_, facts_.item_id);
    out_.append(R"(,"output_index":0,"content_index":0,")").append(name).append("\":");
    append_json_string(out_, text);
    out_ += R"(,"logprobs":)";
    append_logprob_list(out_, tokenizer_, logprobs, facts_.request.generation.sampling.num_logprobs);
    end();
}

void ResponseEvents::begin(std::int64_t number, std::string_view type) {
    seen_ = number;
    out_.append("event: ").append(type).append("\ndata: ");
    out_.append(R"({"type":")").append(type).append(R"(","sequence_number":)");
    append_json_number(out_, number);
    out_ += R"(,"response_id":)";
    append_json_string(out_, facts_.id);
}

void ResponseEvents::end() {
    out_ += "}\n\n";
}

std::string deleted_response_json(std::string_view id) {
    std::string out = R"({"id":)";
    append_json_string(out, id);
    return out + R"(,"object":"response.deleted","deleted":true})";
}

std::string input_tokens_json(std::size_t num_tokens) {
    std::string out = R"({"object":"response.input_tokens","input_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(num_tokens));
    return out + "}";
}

}  // namespace solard
