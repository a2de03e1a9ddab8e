// The events that a response goes through (websocket-protocol.md, 5.6), for every transport.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/api/log_delta.hpp"
#include "server/api/response_object.hpp"

namespace solard::server {

// How an event is wrapped.
struct EventForm {
    bool server_sent = true;     // else a message of its own, nothing around it
    std::string stream_id = {};  // repeated in each; empty: none
    // An event of the end that would be larger loses its logprobs, which came with the deltas.
    std::size_t max_bytes = SIZE_MAX;
};

// The events of one reader: the complete set, always, with numbers that are the same for every reader. The
// log's entry i has number 5 + i; a delta that merges several has the last one's. Numbers may be missing from
// the sequence, and never fall. Each member appends one event that is new to the reader, or gives false.
class ResponseEvents {
  public:
    // `starting_after`: the number of the last event that the reader has; -1: none. Both outlive this.
    ResponseEvents(const ResponseFacts& facts, const Tokenizer& tokenizer, EventForm form,
                   std::int64_t starting_after)
        : facts_(facts), tokenizer_(tokenizer), form_(std::move(form)), seen_(starting_after) {}

    // The first entry of the log that this reader has not seen.
    std::size_t first_entry() const {
        return seen_ < first_delta ? 0 : static_cast<std::size_t>(seen_ - first_delta) + 1;
    }
    // Of the last event that the reader has.
    std::int64_t last_number() const { return seen_; }
    // The last number that a reader can have of a response with so many entries.
    static std::int64_t newest_number(std::size_t num_entries, bool terminal) {
        return first_delta - 1 + static_cast<std::int64_t>(num_entries) + (terminal ? 4 : 0);
    }
    // The terminal event was appended.
    bool ended() const { return ended_; }

    // Those before the text.
    bool begin(const ResponseState& state, std::string& out);
    // `delta` merges `num_merged` entries, of which the last is the log's entry `num_entries` - 1. False
    // where all its text is still held back.
    bool delta(const LogDelta& delta, std::size_t num_entries, std::size_t num_merged, std::string& out);
    // Those after all `num_entries` entries, of a terminal state.
    bool end(const ResponseState& state, std::size_t num_entries, std::string& out);

    // {"type":"keepalive",..}, without a number of its own: a sign of life for a socket's reader.
    void keep_alive(std::string& out) const;
    // {"type":"solar:progress",..} likewise.
    void progress(std::string_view fields, std::string& out) const;

  private:
    static constexpr std::int64_t first_delta = 5;  // after created, queued, in_progress, item and part

    bool end_event(int stage, std::int64_t number, const ResponseState& state, std::string& out);
    void lifecycle(std::int64_t number, std::string_view type, const ResponseState& state, std::string& out);
    void item(std::int64_t number, std::string_view type, const ResponseState* state, std::string& out);
    void part(std::int64_t number, std::string_view type, std::string_view text,
              std::span<const TokenLogprob> logprobs, std::string& out);
    void text(std::int64_t number, std::string_view type, std::string_view name, std::string_view text,
              std::span<const TokenLogprob> logprobs, std::string& out);
    bool is_new(std::int64_t number) const { return number > seen_; }
    void open(std::int64_t number, std::string_view type, std::string& out) const;
    void close(std::string& out) const { out += form_.server_sent ? "}\n\n" : "}"; }

    const ResponseFacts& facts_;
    const Tokenizer& tokenizer_;
    EventForm form_;
    std::int64_t seen_;
    bool ended_ = false;
    ResponseView view_;
};

}  // namespace solard::server
