// Estimates when the engine has free places again, for Retry-After.
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

    // Returns the time in which `count` more choices will end if they continue to end as fast as the last
    // ones did, or one second if none has ended yet. The result is between 100 ms and 30 s, so that a
    // refused client neither retries at once nor stays away long after a slow phase has passed.
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
