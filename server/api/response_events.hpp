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
// readers: the delta of entry i of the log has number 5 + i. If the output may have calls of tools, entry i
// has the numbers from 5 + 8 * i on, because an item may begin or end there. A delta that merges several
// entries has the number of the last of these entries. So the numbers never decrease, but some may be
// missing. begin(), change_item(), delta() and end() each append one event that is new to the reader, or
// return false if there is no such event.
class ResponseEvents {
  public:
    // `starting_after` is the number of the last event that the reader has, or -1 if the reader has none.
    // `facts` and `tokenizer` must outlive this object.
    ResponseEvents(const ResponseFacts& facts, const Tokenizer& tokenizer, EventForm form,
                   std::int64_t starting_after)
        : facts_(facts),
          tokenizer_(tokenizer),
          form_(std::move(form)),
          seen_(starting_after),
          item_(facts.may_call ? -1 : 0) {}

    // Returns the index of the first log entry that this reader has not seen.
    std::size_t first_entry() const;
    // Must be called before the first event, with the item of the entry before first_entry(); -1: none.
    void set_item(std::ptrdiff_t item) {
        if (facts_.may_call) item_ = item;
    }
    // Returns the number of the last event which the reader has.
    std::int64_t last_number() const { return seen_; }
    // Returns the number of the newest event if the log has `num_entries` entries. `terminal`: the log is
    // terminal.
    static std::int64_t newest_number(const ResponseFacts& facts, std::size_t num_entries, bool terminal) {
        return first_delta - 1 + static_cast<std::int64_t>(num_entries) * stride(facts) + (terminal ? 4 : 0);
    }
    // Returns true if the terminal event was appended.
    bool ended() const { return ended_; }

    // Appends an event which comes before the text.
    bool begin(const ResponseState& state, std::string& out);
    // If entry `entry` of the log belongs to another item than the entry before it, appends an event which
    // ends the item before or begins the item `item`.
    bool change_item(const ResponseState& state, std::size_t entry, std::ptrdiff_t item, std::string& out);
    // Appends the delta of `num_merged` entries, the last of which is entry `num_entries` - 1 of the log.
    // Returns false if the whole text of the delta is still held back.
    bool delta(const ResponseState& state, const LogDelta& delta, std::size_t num_entries,
               std::size_t num_merged, std::string& out);
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
    // The last events of an item, which come before the first events of the next item or the terminal event.
    static constexpr int num_last_events = 3;
    static constexpr int delta_stage = 5;

    static std::int64_t stride(const ResponseFacts& facts) { return facts.may_call ? 8 : 1; }
    std::int64_t number_of(std::size_t entry, int stage) const {
        return first_delta + static_cast<std::int64_t>(entry) * stride(facts_) + stage;
    }
    bool is_call(const ResponseState& state) const { return state.item(current_item()).is_call(); }
    std::size_t current_item() const { return static_cast<std::size_t>(item_); }
    Document end_event(int stage, std::int64_t number, const ResponseState& state);
    bool fits(Document& event) const;
    // `Out` is std::string or Document. `index` is that of an output item.
    template <class Out>
    void lifecycle(std::int64_t number, std::string_view type, const ResponseState& state, Out& out);
    template <class Out>
    void last_event(int stage, std::int64_t number, const ResponseState& state, Out& out);
    template <class Out>
    void item(std::int64_t number, std::string_view type, const ResponseState& state, std::size_t index,
              Shown shown, Out& out);
    template <class Out>
    void part(std::int64_t number, std::string_view type, const ResponseState& state, std::size_t index,
              Shown shown, Out& out);
    template <class Out>
    void content_done(std::int64_t number, const ResponseState& state, Out& out);
    void open_content(std::int64_t number, std::string_view type, const ResponseState& state,
                      std::string& out) const;
    bool is_new(std::int64_t number) const { return number > seen_; }
    void open(std::int64_t number, std::string_view type, std::string& out) const;
    void close(std::string& out) const { out += form_.server_sent ? "}\n\n" : "}"; }

    const ResponseFacts& facts_;
    const Tokenizer& tokenizer_;
    EventForm form_;
    std::int64_t seen_;
    std::ptrdiff_t item_;  // the item which has begun last; -1: none
    bool ended_ = false;
    ResponseView view_;
};

}  // namespace solard::server
