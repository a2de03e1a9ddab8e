// Writes the response object of /v1/responses, the same for every transport.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "inference/model/tokenizer.hpp"
#include "inference/request.hpp"
#include "server/api/answer_json.hpp"
#include "server/api/log_delta.hpp"
#include "server/api/logprobs.hpp"
#include "server/api/responses.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// The properties of a response that are known when it is created and never change.
struct ResponseFacts {
    std::string id;       // "resp_..."
    std::string item_id;  // "msg_...", the id of the output item; of the first one if there are calls
    std::string model;
    std::int64_t created_at = 0;  // Unix seconds
    // The values with which the response is generated. If the request does not set a value, the server
    // chooses it.
    double temperature = 1;
    double top_p = 1;
    bool may_call = false;  // true: the output may have calls of tools
    std::uint64_t seed = 0;
    ResponseRequest request;
};

enum class ResponseStatus : std::uint8_t { queued, in_progress, completed, incomplete, cancelled, failed };
std::string_view name_of(ResponseStatus status);

// How long the stages of a response took, in milliseconds. A stage which was never reached is absent.
struct ResponseTimings {
    double queue = 0;
    std::optional<double> prefill;
    std::optional<double> first_token;  // time from the acceptance of the request to its first token
    double total = 0;
    std::optional<double> tokens_per_second;  // as tokens_per_second() in request_times.hpp
};

// The present state of a response. `text` and `logprobs` are valid until the response's log grows.
struct ResponseState {
    ResponseStatus status = ResponseStatus::in_progress;
    bool was_queued = false;
    bool started = false;  // true: the computation of the prompt has begun
    bool has_output = false;
    std::string_view text;
    std::span<const AnswerItem> items;  // as in LogDelta; empty unless the output may have calls
    std::span<const TokenLogprob> logprobs;
    Usage usage;
    StopMatch stop;
    ResponseTimings timings;
    const Error* failure = nullptr;  // set if `status` is failed
    std::int64_t completed_at = 0;   // Unix seconds; set if the state is terminal
    // The items of the output. An output without calls is one message.
    std::size_t num_items(bool may_call) const { return may_call ? items.size() : 1; }
    const AnswerItem& item(std::size_t index) const {
        static const AnswerItem message;
        return items.empty() ? message : items[index];
    }
    std::string_view content_of(std::size_t index) const {
        return items.empty() ? text : text.substr(items[index].begin, items[index].end - items[index].begin);
    }
    bool is_terminal() const {
        return status != ResponseStatus::queued && status != ResponseStatus::in_progress;
    }
};

inline const TokenLogprobs no_logprobs;  // for an object without log probabilities

// The parts of the object which depend on how one reader got the events.
struct ResponseView {
    bool omit_logprobs = false;     // true: log probabilities would make the event too large
    std::size_t deltas_merged = 0;  // number of deltas merged into others, because this reader was slow
};

// Appends the response object in its present state. `Out` is std::string or Document, here and below; a
// Document reads `state` when it is rendered.
template <class Out>
void append_response(Out& out, const ResponseFacts& facts, const ResponseState& state,
                     const Tokenizer& tokenizer, const ResponseView& view = {});

// Whether an item or a part is shown as it is at its beginning, without content, or as it is now.
enum class Shown : std::uint8_t { begun, now };

// Returns the id of the output item with this index.
std::string item_id(const ResponseFacts& facts, const ResponseState& state, std::size_t index);
// Appends the content of an item: the characters of a JSON string.
void append_content(std::string& out, const ResponseState& state, std::size_t index);
void append_content(Document& out, const ResponseState& state, std::size_t index);
// Appends an output item.
template <class Out>
void append_output_item(Out& out, const ResponseFacts& facts, const ResponseState& state, std::size_t index,
                        Shown shown, const Tokenizer& tokenizer, const ResponseView& view = {});
// Appends the only part of a message.
template <class Out>
void append_output_part(Out& out, const ResponseFacts& facts, const ResponseState& state, std::size_t index,
                        Shown shown, const Tokenizer& tokenizer, const ResponseView& view = {});
// Returns the log probabilities of a message. If the output may have calls, only the deltas have them.
const TokenLogprobs& logprobs_of(const ResponseFacts& facts, const ResponseState& state,
                                 const ResponseView& view);

// Returns {"object":"response.deleted",..}.
std::string deleted_response_json(std::string_view id);
// Returns {"object":"response.input_tokens","input_tokens":..}.
std::string input_tokens_json(std::size_t num_tokens);

}  // namespace solard::server
