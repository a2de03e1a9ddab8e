// One reader's way through a response: what is new in its log, as events, one at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "server/api/response_events.hpp"
#include "server/generation/generation_log.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

// Costs its place in the log and nothing else, however far it lags. I/O thread only.
class ResponseCursor {
  public:
    using Clock = std::chrono::steady_clock;

    // `wakeup` is notified of whatever is new; it and `tokenizer` outlive this. `starting_after` as
    // ResponseEvents.
    ResponseCursor(ResponsePtr record, const Tokenizer& tokenizer, Wakeup& wakeup, EventForm form,
                   std::int64_t starting_after);

    // Appends the next event; false if there is none now. Deltas that wait merge into one of up to 16 KiB;
    // they come no more often than the request's solar.max_delta_hz.
    bool next(Clock::time_point now, std::string& out);
    // There is a delta that waits for its time until then; otherwise the end of time.
    Clock::time_point due() const;
    // Whether next() has something.
    bool ready(Clock::time_point now) const;
    // The reader has everything: the terminal event came.
    bool at_end() const { return at_end_; }

    const ResponseEvents& events() const { return events_; }
    const ResponsePtr& record() const { return record_; }

  private:
    ResponsePtr record_;
    ResponseEvents events_;
    LogReader reader_;
    Clock::duration spacing_;
    Clock::time_point next_delta_{};
    bool at_end_ = false;
};

}  // namespace solard::server
