// The quota of one API key: the number of requests in flight, and the number of tokens per minute.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "server/config/error.hpp"

namespace solard::server {

// I/O thread only. A limit of 0 means that there is no limit.
class Quota {
  public:
    using Clock = std::chrono::steady_clock;

    Quota(std::int64_t concurrency, std::int64_t tokens_per_minute)
        : concurrency_(concurrency),
          per_minute_(static_cast<double>(tokens_per_minute)),
          tokens_(static_cast<double>(tokens_per_minute)) {}

    // The place of one request in flight. The destructor frees the place. The quota must outlive the place.
    class Place {
      public:
        explicit Place(Quota* quota) : quota_(quota) {}  // null: there is no limit
        Place(Place&& other) noexcept : quota_(std::exchange(other.quota_, nullptr)) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (quota_ != nullptr) --quota_->in_flight_;
        }
        // Subtracts the tokens that the request has used from the quota.
        void charge(std::size_t num_tokens) {
            if (quota_ != nullptr) quota_->tokens_ -= static_cast<double>(num_tokens);
        }

      private:
        Quota* quota_;
    };

    // Takes a place unless the key has too many requests in flight or no tokens left. The tokens are kept in
    // a bucket that holds at most the tokens of one minute and refills steadily. The cost of a request is not
    // known in advance, so its tokens are charged as they become known, and the bucket may fall below zero.
    // Then the key has to wait until the bucket contains a token again. Errors: rate_limit_exceeded.
    result<Place> take_place(Clock::time_point now);

  private:
    std::int64_t concurrency_;
    double per_minute_;  // tokens
    double tokens_;      // in the bucket; negative after an expensive request
    std::int64_t in_flight_ = 0;
    Clock::time_point refilled_ = {};
};

}  // namespace solard::server
