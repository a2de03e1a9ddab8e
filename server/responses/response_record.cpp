#include "server/responses/response_record.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <vector>

#include "server/observe/heap_bytes.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

ResponseTimings timings_of(const RequestTimes& times, Clock::time_point ended, std::uint32_t num_tokens) {
    constexpr Clock::time_point never{};
    ResponseTimings timings;
    timings.queue = milliseconds((times.started == never ? ended : times.started) - times.accepted);
    timings.total = milliseconds(ended - times.accepted);
    if (times.first_token == never) return timings;
    timings.prefill = milliseconds(times.first_token - times.started);
    timings.first_token = milliseconds(times.first_token - times.accepted);
    timings.tokens_per_second = tokens_per_second(times, num_tokens);
    return timings;
}

std::size_t heap_bytes_of(const std::optional<std::string>& text) {
    return text ? heap_bytes(*text) : 0;
}

std::size_t heap_bytes_of(const std::vector<ToolCall>& calls) {
    std::size_t bytes = heap_bytes(calls);
    for (const ToolCall& call : calls)
        bytes += heap_bytes(call.id) + heap_bytes(call.name) + heap_bytes(call.arguments);
    return bytes;
}

std::size_t heap_bytes_of(const std::vector<ChatMessage>& messages) {
    std::size_t bytes = heap_bytes(messages);
    for (const ChatMessage& message : messages)
        bytes += heap_bytes(message.content) + heap_bytes_of(message.name) + heap_bytes(message.call_id) +
                 heap_bytes_of(message.calls);
    return bytes;
}

std::size_t heap_bytes_of(const std::optional<AnswerGrammar>& grammar) {
    if (!grammar) return 0;
    return heap_bytes(grammar->source.text) + heap_bytes(grammar->field) + heap_bytes(grammar->format);
}

std::size_t heap_bytes_of(const json::value& value);

// Returns how many bytes of the heap the object holds. In Boost.JSON, an object or a list is a table with a
// header of 16 bytes, keys have a final zero, and strings of more than 14 bytes are in a block with a header
// of 8 bytes.
std::size_t heap_bytes_of(const json::object& object) {
    if (object.capacity() == 0) return 0;
    std::size_t bytes = heap_block(16 + object.capacity() * sizeof(json::key_value_pair));
    for (const auto& pair : object) bytes += heap_block(pair.key().size() + 1) + heap_bytes_of(pair.value());
    return bytes;
}

std::size_t heap_bytes_of(const json::value& value) {
    constexpr std::size_t inline_string = 14;
    if (value.is_object()) return heap_bytes_of(value.get_object());
    if (const auto* text = value.if_string())
        return text->capacity() > inline_string ? heap_block(8 + text->capacity() + 1) : 0;
    const auto* list = value.if_array();
    if (list == nullptr || list->capacity() == 0) return 0;
    std::size_t bytes = heap_block(16 + list->capacity() * sizeof(json::value));
    for (const json::value& item : *list) bytes += heap_bytes_of(item);
    return bytes;
}

std::size_t heap_bytes_of(const SamplingFields& sampling) {
    std::size_t bytes =
        heap_bytes(sampling.stop) + heap_bytes(sampling.stop_token_ids) + heap_bytes(sampling.logit_bias);
    for (const std::string& stop : sampling.stop) bytes += heap_bytes(stop);
    return bytes;
}

}  // namespace

ResponseState ResponseRecord::state() const {
    const LogDelta output = log->read_whole(0);
    ResponseState state;
    state.was_queued = log->was_queued();
    state.started = log->started();
    state.has_output = facts.request.generate && output.num_tokens > 0;
    state.text = output.text;
    state.items = output.items;
    state.logprobs = output.logprobs;
    state.stop = output.stop;
    state.usage = {prompt_tokens, state.has_output ? log->num_tokens() : 0, log->cached_tokens()};
    state.completed_at = log->ended_at();
    if (log->terminal()) state.timings = timings_of(log->times(), log->ended(), log->num_tokens());
    if (const auto& failure = log->failure()) {
        state.failure = &*failure;
        state.status =
            failure->code == errc::request_cancelled ? ResponseStatus::cancelled : ResponseStatus::failed;
    } else if (log->terminal()) {
        const bool cut = facts.request.generate && output.finish == FinishReason::length;
        state.status = cut ? ResponseStatus::incomplete : ResponseStatus::completed;
    } else {
        state.status =
            state.started || !state.was_queued ? ResponseStatus::in_progress : ResponseStatus::queued;
    }
    return state;
}

std::size_t heap_bytes(const ResponseRequest& request) {
    return heap_bytes_of(request.input) + heap_bytes_of(request.instructions) +
           heap_bytes_of(request.previous_response_id) + heap_bytes_of(request.generation.sampling) +
           heap_bytes(request.generation.model) + heap_bytes(request.generation.cache_salt) +
           heap_bytes_of(request.generation.grammar) + heap_bytes(request.idempotency_key) +
           heap_bytes(request.shown_tools.tools) + heap_bytes(request.shown_tools.choice) +
           heap_bytes_of(request.metadata) + heap_bytes_of(request.template_kwargs) +
           heap_bytes_of(request.user);
}

std::size_t record_bytes(const ResponseRecord& record) {
    const ResponseFacts& facts = record.facts;
    // The record shares its heap block with the control block of a shared_ptr.
    return heap_block(sizeof record + 2 * sizeof(void*)) + heap_bytes(facts.id) + heap_bytes(facts.item_id) +
           heap_bytes(facts.model) + heap_bytes(facts.request) + heap_bytes_of(record.conversation);
}

void release_engine_fields(ResponseRequest& request) {
    release(request.input);
    release(request.template_kwargs);
    request.generation.tools.reset();
    release(request.generation.model);
    release(request.generation.cache_salt);
    if (auto& grammar = request.generation.grammar) release(grammar->source.text);
    SamplingFields& sampling = request.generation.sampling;
    release(sampling.stop);
    release(sampling.stop_token_ids);
    release(sampling.logit_bias);
}

void release_after_end(ResponseRecord& record) {
    record.conversation.shrink_to_fit();
    // A failed response cannot be continued, so its conversation is not needed.
    if (record.state().status == ResponseStatus::failed) release(record.conversation);
    record.log->shrink_to_fit();
}

}  // namespace solard::server
