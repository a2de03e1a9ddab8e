// Detects that something happens too often.
#pragma once

#include <chrono>
#include <cstddef>

namespace solard::server {

class EventRate {
  public:
    using Clock = std::chrono::steady_clock;

    // A window of time begins with the first event after the end of the previous window. In each window,
    // `limit` - 1 events are allowed, and all later events are too many.
    EventRate(std::size_t limit, Clock::duration window) : limit_(limit), window_(window) {}

    // Counts one event. Returns true if this event is too many.
    bool note(Clock::time_point now) {
        if (count_ == 0 || now - begin_ > window_) {
            begin_ = now;
            count_ = 0;
        }
        return ++count_ >= limit_;
    }

  private:
    std::size_t limit_;
    Clock::duration window_;
    Clock::time_point begin_{};
    std::size_t count_ = 0;
};

}  // namespace solard::server
