// Estimates when the engine will have free places again. The header Retry-After needs this estimate.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace solard::server {

class DrainRate {
  public:
    using Clock = std::chrono::steady_clock;

    // Records that a choice ended now.
    void add_end(Clock::time_point now) { ends_[num_ends_++ % ends_.size()] = now; }

    // Returns the time until `count` more choices will have ended, if they end as fast as the last ones did.
    // If none has ended yet, returns one second. The result is at least 100 ms, so that a refused client does
    // not retry at once, and at most 30 s, so that it comes back soon after a slow phase.
    std::chrono::milliseconds time_for(std::size_t count, Clock::time_point now) const {
        using std::chrono::milliseconds;
        const std::size_t known = std::min(num_ends_, ends_.size());
        if (known == 0) return milliseconds(1000);
        const auto oldest = ends_[num_ends_ > ends_.size() ? num_ends_ % ends_.size() : 0];
        const auto each = (now - oldest) / static_cast<Clock::rep>(known);
        return std::clamp(std::chrono::duration_cast<milliseconds>(each * static_cast<Clock::rep>(count)),
                          milliseconds(100), milliseconds(30'000));
    }

  private:
    std::array<Clock::time_point, 32> ends_{};  // when the last choices ended
    std::size_t num_ends_ = 0;
};

}  // namespace solard::server
