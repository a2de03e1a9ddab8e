// The response object of /v1/responses; one serializer for every transport.
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
#include "server/api/responses.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// What is known of a response from its creation on.
struct ResponseFacts {
    std::string id;       // "resp_..."
    std::string item_id;  // "msg_...", of its one output item
    std::string model;
    std::int64_t created_at = 0;  // Unix seconds
    double temperature = 1;       // in force
    double top_p = 1;
    std::uint64_t seed = 0;
    ResponseRequest request;
};

enum class ResponseStatus : std::uint8_t { queued, in_progress, completed, incomplete, cancelled, failed };
std::string_view name_of(ResponseStatus status);

// How long its stages took, in milliseconds; absent where it never came that far.
struct ResponseTimings {
    double queue = 0;
    std::optional<double> prefill;
    std::optional<double> first_token;  // from its acceptance
    double total = 0;
    std::optional<double> tokens_per_second;  // after the first one
};

// Where it stands; the views are valid until its log grows.
struct ResponseState {
    ResponseStatus status = ResponseStatus::in_progress;
    bool was_queued = false;
    bool started = false;  // its prompt is being computed, or was
    bool has_output = false;
    std::string_view text;
    std::span<const TokenLogprob> logprobs;
    Usage usage;
    StopMatch stop;
    ResponseTimings timings;
    const Error* failure = nullptr;  // why it failed
    std::int64_t completed_at = 0;   // Unix seconds, of a terminal state
    bool is_terminal() const {
        return status != ResponseStatus::queued && status != ResponseStatus::in_progress;
    }
};

// What one reader's way of getting it adds to the object.
struct ResponseView {
    bool omit_logprobs = false;     // they came with the deltas and would make this message too large
    std::size_t deltas_merged = 0;  // into others, since this reader lagged
};

// The object as it stands.
void append_response(std::string& out, const ResponseFacts& facts, const ResponseState& state,
                     const Tokenizer& tokenizer, const ResponseView& view = {});
std::string response_json(const ResponseFacts& facts, const ResponseState& state, const Tokenizer& tokenizer);

// The one output item; without a state as it is when it begins.
void append_output_item(std::string& out, const ResponseFacts& facts, const ResponseState* state,
                        const Tokenizer& tokenizer, const ResponseView& view = {});
// The one part of the item.
void append_output_part(std::string& out, const ResponseFacts& facts, std::string_view text,
                        std::span<const TokenLogprob> logprobs, const Tokenizer& tokenizer);

// {"object":"response.deleted",..}
std::string deleted_response_json(std::string_view id);
// {"object":"response.input_tokens","input_tokens":..}
std::string input_tokens_json(std::size_t num_tokens);

}  // namespace solard::server
