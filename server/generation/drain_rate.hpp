// How fast places become free, for Retry-After.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace solard::server {

class DrainRate {
  public:
    using Clock = std::chrono::steady_clock;

    // A choice ended.
    void note(Clock::time_point now) { ends_[num_ends_++ % ends_.size()] = now; }

    // How long until `count` more will have ended, if they go on as the last ones did; one second where there
    // is nothing to judge by. From 100 ms to 30 s (reliability.md, O6).
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
    std::array<Clock::time_point, 32> ends_{};  // of the last choices that ended
    std::size_t num_ends_ = 0;
};

}  // namespace solard::server
