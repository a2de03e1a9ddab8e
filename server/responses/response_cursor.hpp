// A cursor which reads one response as a sequence of events.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "server/api/response_events.hpp"
#include "server/generation/generation_log.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

// A cursor stores only its position in the log, so a slow reader needs no extra memory. I/O thread only.
class ResponseCursor {
  public:
    // A piece ends with the first item that reaches this size, so the piece may be larger.
    static constexpr std::size_t max_piece_bytes = 64 << 10;
    using Clock = std::chrono::steady_clock;

    // `wakeup` is notified whenever the log changes. `wakeup` and `tokenizer` must outlive the cursor.
    // `starting_after` is passed to ResponseEvents.
    ResponseCursor(ResponsePtr record, const Tokenizer& tokenizer, Wakeup& wakeup, EventForm form,
                   std::int64_t starting_after);

    // Appends the next event and returns true, or returns false if no event is ready. A long server-sent
    // event is appended in pieces of about max_piece_bytes, one piece per call. Waiting deltas are merged
    // into deltas of up to 16 KiB. The request's solar.max_delta_hz limits how often deltas are sent.
    bool next(Clock::time_point now, std::string& out);
    // Returns the time from which the waiting delta may be sent, or time_point::max() if no delta waits.
    Clock::time_point due() const;
    // Returns true if the log has something new for next(). Even then, next() may return false, because the
    // new text may be held back.
    bool ready(Clock::time_point now) const;
    // Returns true if next() has already appended the terminal event.
    bool at_end() const { return at_end_; }
    // Returns true if an event cannot be completed, because the log has lost its text since the event began.
    bool is_broken() const { return broken_; }

    const ResponseEvents& events() const { return events_; }
    const ResponsePtr& record() const { return record_; }

  private:
    bool continue_event(std::string& out);
    void render_piece(std::string& out);

    ResponsePtr record_;
    const std::size_t max_bytes_;  // limit for one call of next()
    ResponseEvents events_;
    ResponseState state_;  // event_ refers to the text in this state
    Document event_;       // the part of an event that is not rendered yet
    LogReader reader_;
    Clock::duration spacing_;
    Clock::time_point next_delta_{};
    bool at_end_ = false;
    bool broken_ = false;
};

}  // namespace solard::server
