// The response object of /v1/responses and the events it goes through; one serializer for every transport.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "inference/request.hpp"
#include "inference/tokenizer.hpp"
#include "server/api/answer_json.hpp"
#include "server/api/log_delta.hpp"
#include "server/api/responses.hpp"

namespace solard {

// What is known of a response from its creation on.
struct ResponseFacts {
    std::string id;       // "resp_..."
    std::string item_id;  // "msg_...", of its one output item
    std::string model;
    std::int64_t created_at = 0;  // Unix seconds
    double temperature = 1;       // in force
    double top_p = 1;
    ResponseRequest request;
};

enum class ResponseStatus : std::uint8_t { queued, in_progress, completed, incomplete, cancelled, failed };
std::string_view name_of(ResponseStatus status);

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
    const Error* failure = nullptr;  // why it failed
    std::int64_t completed_at = 0;   // Unix seconds, of a terminal state
    bool is_terminal() const {
        return status != ResponseStatus::queued && status != ResponseStatus::in_progress;
    }
};

// The object as it stands.
std::string response_json(const ResponseFacts& facts, const ResponseState& state, const Tokenizer& tokenizer);

// The events of one reader (websocket-protocol.md, 5.6): the complete set, always, with numbers that are the
// same for every reader. The log's entry i has number 5 + i; a delta that merges several has the last one's.
// Numbers may be missing from the sequence, and never fall.
class ResponseEvents {
  public:
    // `starting_after`: the number of the last event that the reader has; -1: none. Events are appended to
    // `out` as server-sent events. All three outlive this.
    ResponseEvents(const ResponseFacts& facts, const Tokenizer& tokenizer, std::int64_t starting_after,
                   std::string& out)
        : facts_(facts), tokenizer_(tokenizer), seen_(starting_after), out_(out) {}

    // The first entry of the log that this reader has not seen.
    std::size_t first_entry() const {
        return seen_ < first_delta ? 0 : static_cast<std::size_t>(seen_ - first_delta) + 1;
    }
    // All that is new: `delta` of the entries up to `num_entries`, if any, and what became of the response.
    void write(const ResponseState& state, const LogDelta* delta, std::size_t num_entries);

  private:
    static constexpr std::int64_t first_delta = 5;  // after created, queued, in_progress, item and part

    void lifecycle(std::int64_t number, std::string_view type, const ResponseState& state);
    void item(std::int64_t number, std::string_view type, const ResponseState* state);
    void part(std::int64_t number, std::string_view type, const ResponseState* state);
    void text(std::int64_t number, std::string_view type, std::string_view name, std::string_view text,
              std::span<const TokenLogprob> logprobs);
    void finish(const ResponseState& state, std::size_t num_entries);
    bool is_new(std::int64_t number) const { return number > seen_; }
    void begin(std::int64_t number, std::string_view type);
    void end();

    const ResponseFacts& facts_;
    const Tokenizer& tokenizer_;
    std::int64_t seen_;
    std::string& out_;
};

// {"object":"response.deleted",..}
std::string deleted_response_json(std::string_view id);
// {"object":"response.input_tokens","input_tokens":..}
std::string input_tokens_json(std::size_t num_tokens);

}  // namespace solard
