#include "server/api/response_object.hpp"

#include <boost/json/serialize.hpp>
#include <cmath>

#include "server/api/error.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

void append_optional_string(std::string& out, const std::optional<std::string>& text) {
    if (text) {
        append_json_string(out, *text);
    } else {
        out += "null";
    }
}

void append_response_usage(std::string& out, const Usage& usage) {
    const auto number = [&](std::string_view name, std::size_t value) {
        out.append(name);
        append_json_number(out, static_cast<std::int64_t>(value));
    };
    number(R"({"input_tokens":)", usage.prompt_tokens);
    number(R"(,"input_tokens_details":{"cached_tokens":)", static_cast<std::size_t>(usage.cached_tokens));
    out += R"(,"cache_write_tokens":0)";
    number(R"(},"output_tokens":)", usage.completion_tokens);
    out += R"(,"output_tokens_details":{"reasoning_tokens":0})";
    number(R"(,"total_tokens":)", usage.prompt_tokens + usage.completion_tokens);
    out += '}';
}

// Appends the members from `"status":..` to `"incomplete_details":..`.
void append_status(std::string& out, const ResponseState& state) {
    out.append(R"("status":")").append(name_of(state.status)).append("\"");
    if (state.is_terminal()) {
        out += R"(,"completed_at":)";
        append_json_number(out, state.completed_at);
    }
    out += R"(,"error":)";
    if (state.status == ResponseStatus::failed) {
        // The SDKs accept only a few codes here; the message describes the failure.
        out += R"({"code":"server_error","message":)";
        append_json_string(out, message_of(*state.failure));
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

// Appends the fields of the request, from `"instructions":..` on.
void append_request(std::string& out, const ResponseFacts& facts) {
    const ResponseRequest& request = facts.request;
    out += R"("instructions":)";
    append_optional_string(out, request.instructions);
    out += R"(,"max_output_tokens":)";
    if (const std::int64_t bound = request.generation.max_tokens.value_or(max_token_count);
        bound < max_token_count) {
        append_json_number(out, bound);
    } else {
        out += "null";
    }
    out.append(R"(,"metadata":)").append(boost::json::serialize(request.metadata));
    out.append(R"(,"parallel_tool_calls":)").append(request.shown_tools.parallel ? "true" : "false");
    out += R"(,"previous_response_id":)";
    append_optional_string(out, request.previous_response_id);
    out += R"(,"reasoning":{"effort":null,"summary":null},"store":)";
    out += request.store ? "true" : "false";
    out += R"(,"temperature":)";
    append_json_number(out, facts.temperature);
    const auto& grammar = request.generation.grammar;
    out += R"(,"text":{"format":)";
    out += grammar && !grammar->format.empty() ? std::string_view(grammar->format) : R"({"type":"text"})";
    out.append(R"(},"tool_choice":)").append(request.shown_tools.choice);
    out.append(R"(,"tools":)").append(request.shown_tools.tools).append(R"(,"top_logprobs":)");
    append_json_number(out, std::int64_t{std::max(request.generation.sampling.num_logprobs, 0)});
    out += R"(,"top_p":)";
    append_json_number(out, facts.top_p);
    out.append(R"(,"truncation":")").append(request.truncate ? "auto" : "disabled").append(R"(","user":)");
    append_optional_string(out, request.user);
}

std::string_view stop_reason(const ResponseState& state) {
    switch (state.status) {
        case ResponseStatus::cancelled:
            return "cancelled";
        case ResponseStatus::failed:
            return "error";
        case ResponseStatus::incomplete:
            return "max_output_tokens";
        default:
            return state.stop.index >= 0   ? "stop_string"
                   : state.stop.token >= 0 ? "stop_token"
                                           : "end_of_text";
    }
}

void append_timing(std::string& out, std::string_view name, std::optional<double> value) {
    out.append(name);
    if (value) {
        append_json_number(out, std::round(*value * 1000) / 1000);
    } else {
        out += "null";
    }
}

// Appends the server's measurements. `state` must be terminal. server/ws/PROTOCOL.md describes the members.
void append_telemetry(std::string& out, const ResponseFacts& facts, const ResponseState& state,
                      const ResponseView& view) {
    const ResponseTimings& timings = state.timings;
    append_timing(out, R"({"queue_ms":)", timings.queue);
    append_timing(out, R"(,"prefill_ms":)", timings.prefill);
    append_timing(out, R"(,"ttft_ms":)", timings.first_token);
    append_timing(out, R"(,"total_ms":)", timings.total);
    append_timing(out, R"(,"decode_tokens_per_s":)", timings.tokens_per_second);
    out.append(R"(,"stop_reason":")").append(stop_reason(state)).append(R"(","seed":)");
    append_json_number(out, facts.seed);
    out += R"(,"frames_merged":)";
    append_json_number(out, static_cast<std::int64_t>(view.deltas_merged));
    if (view.omit_logprobs) out += R"(,"logprobs_omitted":true)";
    out += '}';
}

// Appends the object up to and including `"output":[`.
void append_beginning(std::string& out, const ResponseFacts& facts, const ResponseState& state) {
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
}

// Appends the rest of the object, from the bracket that closes the list `output`.
void append_end(std::string& out, const ResponseFacts& facts, const ResponseState& state,
                const ResponseView& view) {
    out += R"(],"usage":)";
    if (state.is_terminal()) {
        append_response_usage(out, state.usage);
        out += R"(,"solar":)";
        append_telemetry(out, facts, state, view);
    } else {
        out += R"(null,"solar":null)";
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

std::string item_id(const ResponseFacts& facts, const ResponseState& state, std::size_t index) {
    const AnswerItem& item = state.item(index);
    if (item.is_call())
        return (item.kind == AnswerItem::Kind::custom_call ? "ctc_" : "fc_") +
               item.id.substr(item.id.find('_') + 1);
    return index == 0 ? facts.item_id : facts.item_id + "_" + std::to_string(index);
}

const TokenLogprobs& logprobs_of(const ResponseFacts& facts, const ResponseState& state,
                                 const ResponseView& view) {
    return facts.may_call || view.omit_logprobs ? no_logprobs : state.logprobs;
}

void append_content(std::string& out, const ResponseState& state, std::size_t index) {
    append_json_characters(out, state.content_of(index));
}

void append_content(Document& out, const ResponseState& state, std::size_t index) {
    append_sliced(out, state.content_of(index).size(), [&state, index] { return state.content_of(index); });
}

template <class Out>
void append_output_part(Out& out, const ResponseFacts& facts, const ResponseState& state, std::size_t index,
                        Shown shown, const Tokenizer& tokenizer, const ResponseView& view) {
    tail_of(out) += R"({"type":"output_text","text":")";
    if (shown == Shown::now) append_content(out, state, index);
    tail_of(out) += R"(","annotations":[],"logprobs":)";
    const SamplingFields& sampling = facts.request.generation.sampling;
    append_logprob_list(out, TokenTexts{tokenizer, sampling.skip_special_tokens},
                        shown == Shown::now ? logprobs_of(facts, state, view) : no_logprobs,
                        sampling.num_logprobs);
    tail_of(out) += '}';
}

namespace {

// Appends `"id":..,"type":..,"status":..`.
void append_item_head(std::string& out, const ResponseFacts& facts, const ResponseState& state,
                      std::size_t index, Shown shown) {
    const AnswerItem& item = state.item(index);
    const bool is_cut = state.status != ResponseStatus::completed &&
                        state.status != ResponseStatus::in_progress && index + 1 >= state.items.size();
    const bool is_whole = item.is_call() ? item.is_complete : !is_cut;
    out += R"("id":)";
    append_json_string(out, item_id(facts, state, index));
    out.append(R"(,"type":")");
    out += item.kind == AnswerItem::Kind::message         ? R"(message","role":"assistant)"
           : item.kind == AnswerItem::Kind::function_call ? "function_call"
                                                          : "custom_tool_call";
    out.append(R"(","status":")");
    out += shown == Shown::begun ? "in_progress" : is_whole ? "completed" : "incomplete";
    out += '"';
}

}  // namespace

template <class Out>
void append_output_item(Out& out, const ResponseFacts& facts, const ResponseState& state, std::size_t index,
                        Shown shown, const Tokenizer& tokenizer, const ResponseView& view) {
    tail_of(out) += '{';
    append_item_head(tail_of(out), facts, state, index, shown);
    const AnswerItem& item = state.item(index);
    if (!item.is_call()) {
        tail_of(out) += R"(,"content":[)";
        if (shown == Shown::now) append_output_part(out, facts, state, index, shown, tokenizer, view);
        tail_of(out) += "]}";
        return;
    }
    tail_of(out) += R"(,"call_id":)";
    append_json_string(tail_of(out), item.id);
    tail_of(out) += R"(,"name":)";
    append_json_string(tail_of(out), item.name);
    tail_of(out).append(",\"").append(content_name(item)).append(R"(":")");
    if (shown == Shown::now) append_content(out, state, index);
    tail_of(out) += R"("})";
}

template <class Out>
void append_response(Out& out, const ResponseFacts& facts, const ResponseState& state,
                     const Tokenizer& tokenizer, const ResponseView& view) {
    append_beginning(tail_of(out), facts, state);
    const bool has_items = state.is_terminal() && state.has_output;
    for (std::size_t i = 0; has_items && i < state.num_items(facts.may_call); ++i) {
        if (i > 0) tail_of(out) += ',';
        append_output_item(out, facts, state, i, Shown::now, tokenizer, view);
    }
    append_end(tail_of(out), facts, state, view);
}

template void append_response(std::string&, const ResponseFacts&, const ResponseState&, const Tokenizer&,
                              const ResponseView&);
template void append_response(Document&, const ResponseFacts&, const ResponseState&, const Tokenizer&,
                              const ResponseView&);
template void append_output_item(std::string&, const ResponseFacts&, const ResponseState&, std::size_t, Shown,
                                 const Tokenizer&, const ResponseView&);
template void append_output_item(Document&, const ResponseFacts&, const ResponseState&, std::size_t, Shown,
                                 const Tokenizer&, const ResponseView&);
template void append_output_part(std::string&, const ResponseFacts&, const ResponseState&, std::size_t, Shown,
                                 const Tokenizer&, const ResponseView&);
template void append_output_part(Document&, const ResponseFacts&, const ResponseState&, std::size_t, Shown,
                                 const Tokenizer&, const ResponseView&);

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

}  // namespace solard::server
