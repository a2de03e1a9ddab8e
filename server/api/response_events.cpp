#include "server/api/response_events.hpp"

#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard::server {
namespace {

// Returns the type of the events about the content of an item. `step` is "delta" or "done".
std::string event_type(const AnswerItem& item, std::string_view step) {
    std::string type = item.kind == AnswerItem::Kind::message         ? "response.output_text."
                       : item.kind == AnswerItem::Kind::function_call ? "response.function_call_arguments."
                                                                      : "response.custom_tool_call_input.";
    return type.append(step);
}

}  // namespace

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
void ResponseEvents::item(std::int64_t number, std::string_view type, const ResponseState& state,
                          std::size_t index, Shown shown, Out& out) {
    open(number, type, tail_of(out));
    tail_of(out) += R"(,"output_index":)";
    append_json_number(tail_of(out), static_cast<std::int64_t>(index));
    tail_of(out) += R"(,"item":)";
    append_output_item(out, facts_, state, index, shown, tokenizer_, view_);
    close(tail_of(out));
    seen_ = number;
}

// Appends the beginning of an event about the content of the current item.
void ResponseEvents::open_content(std::int64_t number, std::string_view type, const ResponseState& state,
                                  std::string& out) const {
    open(number, type, out);
    out += R"(,"item_id":)";
    append_json_string(out, item_id(facts_, state, current_item()));
    out += R"(,"output_index":)";
    append_json_number(out, item_);
    if (!is_call(state)) out += R"(,"content_index":0)";
}

template <class Out>
void ResponseEvents::part(std::int64_t number, std::string_view type, const ResponseState& state,
                          std::size_t index, Shown shown, Out& out) {
    open_content(number, type, state, tail_of(out));
    tail_of(out) += R"(,"part":)";
    append_output_part(out, facts_, state, index, shown, tokenizer_, view_);
    close(tail_of(out));
    seen_ = number;
}

template <class Out>
void ResponseEvents::content_done(std::int64_t number, const ResponseState& state, Out& out) {
    const AnswerItem& done = state.item(current_item());
    open_content(number, event_type(done, "done"), state, tail_of(out));
    tail_of(out).append(",\"").append(done.is_call() ? content_name(done) : "text").append(R"(":")");
    append_content(out, state, current_item());
    tail_of(out) += '"';
    if (done.kind == AnswerItem::Kind::function_call) {
        tail_of(out) += R"(,"name":)";
        append_json_string(tail_of(out), done.name);
    }
    if (!done.is_call()) {
        tail_of(out) += R"(,"logprobs":)";
        const SamplingFields& sampling = facts_.request.generation.sampling;
        append_logprob_list(out, TokenTexts{tokenizer_, sampling.skip_special_tokens},
                            logprobs_of(facts_, state, view_), sampling.num_logprobs);
    }
    close(tail_of(out));
    seen_ = number;
}

// Appends one of the three events which end the current item. A call has no part.
template <class Out>
void ResponseEvents::last_event(int stage, std::int64_t number, const ResponseState& state, Out& out) {
    if (stage == 0) {
        content_done(number, state, out);
    } else if (stage == 1) {
        part(number, "response.content_part.done", state, current_item(), Shown::now, out);
    } else {
        item(number, "response.output_item.done", state, current_item(), Shown::now, out);
    }
}

std::size_t ResponseEvents::first_entry() const {
    if (seen_ < first_delta) return 0;
    const std::int64_t place = seen_ - first_delta;
    const bool saw_entry = !facts_.may_call || place % stride(facts_) >= delta_stage;
    return static_cast<std::size_t>(place / stride(facts_) + (saw_entry ? 1 : 0));
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
    } else if (!facts_.may_call && state.has_output && is_new(4)) {
        if (is_new(3)) {
            item(3, "response.output_item.added", begun, 0, Shown::begun, out);
        } else {
            part(4, "response.content_part.added", begun, 0, Shown::begun, out);
        }
    } else {
        return false;
    }
    return true;
}

bool ResponseEvents::change_item(const ResponseState& state, std::size_t entry, std::ptrdiff_t next_item,
                                 std::string& out) {
    if (!facts_.may_call || next_item == item_) return false;
    for (int stage = item_ < 0 ? num_last_events : 0; stage < num_last_events; ++stage) {
        const std::int64_t number = number_of(entry, stage);
        if (!is_new(number) || (stage == 1 && is_call(state))) continue;
        last_event(stage, number, state, out);
        return true;
    }
    const auto index = static_cast<std::size_t>(next_item);
    if (const auto number = number_of(entry, num_last_events); is_new(number)) {
        item(number, "response.output_item.added", state, index, Shown::begun, out);
        return true;
    }
    item_ = next_item;
    const std::int64_t number = number_of(entry, num_last_events + 1);
    if (is_call(state) || !is_new(number)) return false;
    part(number, "response.content_part.added", state, index, Shown::begun, out);
    return true;
}

bool ResponseEvents::delta(const ResponseState& state, const LogDelta& delta, std::size_t num_entries,
                           std::size_t num_merged, std::string& out) {
    const std::int64_t number = number_of(num_entries - 1, facts_.may_call ? delta_stage : 0);
    const bool has_logprobs = !delta.logprobs.empty() && item_ >= 0 && !is_call(state);
    if (!is_new(number) || (delta.text.empty() && !has_logprobs)) return false;
    open_content(number, event_type(state.item(current_item()), "delta"), state, out);
    out += R"(,"delta":")";
    append_json_characters(out, delta.text);
    out += '"';
    if (!is_call(state)) {
        out += R"(,"logprobs":)";
        const SamplingFields& sampling = facts_.request.generation.sampling;
        append_logprob_list(out, TokenTexts{tokenizer_, sampling.skip_special_tokens}, delta.logprobs,
                            sampling.num_logprobs);
    }
    close(out);
    seen_ = number;
    view_.deltas_merged += num_merged - 1;
    return true;
}

bool ResponseEvents::end(const ResponseState& state, std::size_t num_entries, Document& out) {
    const bool has_item = state.has_output && state.status != ResponseStatus::failed && item_ >= 0;
    for (int stage = has_item ? 0 : num_last_events; stage <= num_last_events; ++stage) {
        const std::int64_t number = number_of(num_entries, stage);
        if (!is_new(number) || (stage == 1 && is_call(state))) continue;
        out = end_event(stage, number, state);
        if (!view_.omit_logprobs && !state.logprobs.empty() && !fits(out)) {
            view_.omit_logprobs = true;
            out = end_event(stage, number, state);
        }
        ended_ = stage == num_last_events;
        return true;
    }
    return false;
}

Document ResponseEvents::end_event(int stage, std::int64_t number, const ResponseState& state) {
    Document event;
    if (stage < num_last_events) {
        last_event(stage, number, state, event);
        return event;
    }
    const bool cut = state.status == ResponseStatus::incomplete || state.status == ResponseStatus::cancelled;
    lifecycle(number,
              state.status == ResponseStatus::failed ? "response.failed"
              : cut                                  ? "response.incomplete"
                                                     : "response.completed",
              state, event);
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
