#include "server/api/response_events.hpp"

#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard::server {

template <class Out>
void ResponseEvents::lifecycle(std::int64_t number, std::string_view type, const ResponseState& state,
                               Out& out) {
    open(number, type, tail_of(out));
    tail_of(out) += R"(,"response":)";
    append_response(out, facts_, state, tokenizer_, view_);
    close(tail_of(out));
    seen_ = number;
}

template <class Out>
void ResponseEvents::item(std::int64_t number, std::string_view type, const ResponseState* state, Out& out) {
    open(number, type, tail_of(out));
    tail_of(out) += R"(,"output_index":0,"item":)";
    append_output_item(out, facts_, state, tokenizer_, view_);
    close(tail_of(out));
    seen_ = number;
}

template <class Out>
void ResponseEvents::part(std::int64_t number, std::string_view type, const std::string_view& text,
                          const TokenLogprobs& logprobs, Out& out) {
    open(number, type, tail_of(out));
    tail_of(out) += R"(,"item_id":)";
    append_json_string(tail_of(out), facts_.item_id);
    tail_of(out) += R"(,"output_index":0,"content_index":0,"part":)";
    append_output_part(out, facts_, text, logprobs, tokenizer_);
    close(tail_of(out));
    seen_ = number;
}

template <class Out>
void ResponseEvents::text(std::int64_t number, std::string_view type, std::string_view name,
                          const std::string_view& text, const TokenLogprobs& logprobs, Out& out) {
    open(number, type, tail_of(out));
    tail_of(out) += R"(,"item_id":)";
    append_json_string(tail_of(out), facts_.item_id);
    tail_of(out).append(R"(,"output_index":0,"content_index":0,")").append(name).append(R"(":")");
    append_characters(out, text);
    tail_of(out) += R"(","logprobs":)";
    const SamplingFields& sampling = facts_.request.generation.sampling;
    append_logprob_list(out, TokenTexts{tokenizer_, sampling.skip_special_tokens}, logprobs,
                        sampling.num_logprobs);
    close(tail_of(out));
    seen_ = number;
}

bool ResponseEvents::begin(const ResponseState& state, std::string& out) {
    ResponseState begun = state;
    begun.status = ResponseStatus::in_progress;
    if (is_new(0)) {
        lifecycle(0, "response.created", begun, out);
    } else if (state.was_queued && is_new(1)) {
        begun.status = ResponseStatus::queued;
        lifecycle(1, "response.queued", begun, out);
    } else if (state.started && is_new(2)) {
        lifecycle(2, "response.in_progress", begun, out);
    } else if (state.has_output && is_new(3)) {
        item(3, "response.output_item.added", nullptr, out);
    } else if (state.has_output && is_new(4)) {
        part(4, "response.content_part.added", std::string_view(), no_logprobs, out);
    } else {
        return false;
    }
    return true;
}

bool ResponseEvents::delta(const LogDelta& delta, std::size_t num_entries, std::size_t num_merged,
                           std::string& out) {
    const auto last = first_delta - 1 + static_cast<std::int64_t>(num_entries);
    if (!is_new(last) || (delta.text.empty() && delta.logprobs.empty())) return false;
    text(last, "response.output_text.delta", "delta", delta.text, delta.logprobs, out);
    view_.deltas_merged += num_merged - 1;
    return true;
}

bool ResponseEvents::end(const ResponseState& state, std::size_t num_entries, Document& out) {
    const auto next = first_delta + static_cast<std::int64_t>(num_entries);
    const bool has_text = state.has_output && state.status != ResponseStatus::failed;
    for (int stage = has_text ? 0 : 3; stage < 4; ++stage) {
        if (!is_new(next + stage)) continue;
        out = end_event(stage, next + stage, state);
        if (!view_.omit_logprobs && !state.logprobs.empty() && !fits(out)) {
            view_.omit_logprobs = true;
            out = end_event(stage, next + stage, state);
        }
        ended_ = stage == 3;
        return true;
    }
    return false;
}

Document ResponseEvents::end_event(int stage, std::int64_t number, const ResponseState& state) {
    Document event;
    const TokenLogprobs& logprobs = view_.omit_logprobs ? no_logprobs : state.logprobs;
    if (stage == 0) {
        text(number, "response.output_text.done", "text", state.text, logprobs, event);
    } else if (stage == 1) {
        part(number, "response.content_part.done", state.text, logprobs, event);
    } else if (stage == 2) {
        item(number, "response.output_item.done", &state, event);
    } else {
        const bool cut =
            state.status == ResponseStatus::incomplete || state.status == ResponseStatus::cancelled;
        lifecycle(number,
                  state.status == ResponseStatus::failed ? "response.failed"
                  : cut                                  ? "response.incomplete"
                                                         : "response.completed",
                  state, event);
    }
    return event;
}

// Returns true if the event has at most max_bytes bytes. If there is a limit, renders the event to find this
// out, and stores the rendered text in `event`.
bool ResponseEvents::fits(Document& event) const {
    if (form_.max_bytes == SIZE_MAX) return true;
    std::string whole;
    event.render(whole, form_.max_bytes + 1);
    if (!event.empty() || whole.size() > form_.max_bytes) return false;
    event.tail() = std::move(whole);
    return true;
}

void ResponseEvents::open(std::int64_t number, std::string_view type, std::string& out) const {
    if (form_.server_sent) out.append("event: ").append(type).append("\ndata: ");
    out.append(R"({"type":")").append(type).append(R"(","sequence_number":)");
    append_json_number(out, number);
    if (!form_.stream_id.empty()) {
        out += R"(,"stream_id":)";
        append_json_string(out, form_.stream_id);
    }
    out += R"(,"response_id":)";
    append_json_string(out, facts_.id);
}

void ResponseEvents::keep_alive(std::string& out) const {
    open(seen_, "keepalive", out);
    close(out);
}

void ResponseEvents::progress(std::string_view fields, std::string& out) const {
    open(seen_, "solar:progress", out);
    out.append(fields);
    close(out);
}

}  // namespace solard::server
