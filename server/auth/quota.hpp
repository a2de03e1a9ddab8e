// What one API key may use: requests at once, and tokens in a minute.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "server/config/error.hpp"

namespace solard::server {

// I/O thread only. Limits of 0 are none.
class Quota {
  public:
    using Clock = std::chrono::steady_clock;

    Quota(std::int64_t concurrency, std::int64_t tokens_per_minute)
        : concurrency_(concurrency),
          per_minute_(static_cast<double>(tokens_per_minute)),
          tokens_(static_cast<double>(tokens_per_minute)) {}

    // A request in flight; its end gives the place back. The quota outlives it.
    class Ticket {
      public:
        explicit Ticket(Quota* quota) : quota_(quota) {}  // null: nobody counts
        Ticket(Ticket&& other) noexcept : quota_(std::exchange(other.quota_, nullptr)) {}
        Ticket& operator=(Ticket&&) = delete;
        ~Ticket() {
            if (quota_ != nullptr) --quota_->in_flight_;
        }
        void charge(std::size_t num_tokens) {
            if (quota_ != nullptr) quota_->tokens_ -= static_cast<double>(num_tokens);
        }

      private:
        Quota* quota_;
    };

    // A token bucket that holds a minute's worth. Who is not in debt may ask, whatever the answer will cost:
    // its tokens are charged as they are known and paid back by waiting. Errors: rate_limit_exceeded.
    result<Ticket> admit(Clock::time_point now);

  private:
    std::int64_t concurrency_;
    double per_minute_;
    double tokens_;
    std::int64_t in_flight_ = 0;
    Clock::time_point filled_ = {};
};

}  // namespace solard::server
