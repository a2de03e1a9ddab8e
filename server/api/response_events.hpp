// The events of a response, the same for every transport. server/ws/PROTOCOL.md describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/api/log_delta.hpp"
#include "server/api/response_object.hpp"

namespace solard::server {

// How each event is wrapped.
struct EventForm {
    bool server_sent = true;     // false: an event is a message that contains only its JSON object
    std::string stream_id = {};  // a member of each event; empty: no such member
    // The maximum size in bytes of an event that follows the deltas. A larger event is sent without its
    // logprobs, because the client has already got them in the deltas.
    std::size_t max_bytes = SIZE_MAX;
};

// Writes the events for one reader. All readers get the same text, and an event has the same number for all
// readers: entry i of the log has number 5 + i. A delta that merges several entries has the number of the
// last of these entries. So the numbers never decrease, but some may be missing. begin(), delta() and end()
// each append one event that is new to the reader, or return false if there is no such event.
class ResponseEvents {
  public:
    // `starting_after` is the number of the last event that the reader has, or -1 if the reader has none.
    // `facts` and `tokenizer` must outlive this object.
    ResponseEvents(const ResponseFacts& facts, const Tokenizer& tokenizer, EventForm form,
                   std::int64_t starting_after)
        : facts_(facts), tokenizer_(tokenizer), form_(std::move(form)), seen_(starting_after) {}

    // Returns the index of the first log entry that this reader has not seen.
    std::size_t first_entry() const {
        return seen_ < first_delta ? 0 : static_cast<std::size_t>(seen_ - first_delta) + 1;
    }
    // Returns the number of the last event which the reader has.
    std::int64_t last_number() const { return seen_; }
    // Returns the number of the newest event if the log has `num_entries` entries. `terminal`: the log is
    // terminal.
    static std::int64_t newest_number(std::size_t num_entries, bool terminal) {
        return first_delta - 1 + static_cast<std::int64_t>(num_entries) + (terminal ? 4 : 0);
    }
    // Returns true if the terminal event was appended.
    bool ended() const { return ended_; }

    // Appends an event which comes before the text.
    bool begin(const ResponseState& state, std::string& out);
    // Appends the delta of `num_merged` entries, the last of which is entry `num_entries` - 1 of the log.
    // Returns false if the whole text of the delta is still held back.
    bool delta(const LogDelta& delta, std::size_t num_entries, std::size_t num_merged, std::string& out);
    // Replaces `out` by an event that comes after all `num_entries` entries. `state` must be terminal. The
    // document `out` reads `state` when it is rendered.
    bool end(const ResponseState& state, std::size_t num_entries, Document& out);

    // Appends {"type":"keepalive",..}, which shows that the server is alive although nothing else is sent.
    // The event repeats the number of the last event.
    void keep_alive(std::string& out) const;
    // Appends {"type":"solar:progress",..}, which repeats the number of the last event.
    void progress(std::string_view fields, std::string& out) const;

  private:
    static constexpr std::int64_t first_delta = 5;  // events 0 to 4: created, queued, in_progress, item, part

    Document end_event(int stage, std::int64_t number, const ResponseState& state);
    bool fits(Document& event) const;
    // `Out` is std::string or Document.
    template <class Out>
    void lifecycle(std::int64_t number, std::string_view type, const ResponseState& state, Out& out);
    template <class Out>
    void item(std::int64_t number, std::string_view type, const ResponseState* state, Out& out);
    template <class Out>
    void part(std::int64_t number, std::string_view type, const std::string_view& text,
              const TokenLogprobs& logprobs, Out& out);
    template <class Out>
    void text(std::int64_t number, std::string_view type, std::string_view name, const std::string_view& text,
              const TokenLogprobs& logprobs, Out& out);
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
