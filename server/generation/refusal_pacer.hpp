// Limits how fast each owner gets refusals, so that a client which retries without a pause costs the server
// little.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace solard::server {

// Has a token bucket for each owner. A state machine without clock: the caller passes the times, which must
// not decrease.
class RefusalPacer {
  public:
    using Clock = std::chrono::steady_clock;

    static constexpr int burst = 64;  // number of refusals that are sent without a delay
    // The time between two refusals after the burst.
    static constexpr Clock::duration interval{std::chrono::milliseconds(10)};
    static constexpr Clock::duration max_delay{std::chrono::seconds(5)};

    // Returns how long the server should wait before it sends the owner's next refusal.
    Clock::duration next_delay(std::uint64_t owner, Clock::time_point now) {
        forget_old(now);
        // `slot` may lie up to `burst` intervals in the past, so that up to `burst` refusals get no delay.
        Clock::time_point& slot = slots_.try_emplace(owner, now - burst * interval).first->second;
        slot = std::clamp(slot + interval, now - (burst - 1) * interval, now + max_delay);
        return std::max(slot - now, Clock::duration{});
    }
    std::size_t num_owners() const { return slots_.size(); }

  private:
    // An owner needs no entry if it may get a whole burst again.
    void forget_old(Clock::time_point now) {
        if (slots_.size() < 2 * num_kept_ + 64) return;
        std::erase_if(slots_, [&](const auto& entry) { return entry.second <= now - burst * interval; });
        num_kept_ = slots_.size();
    }

    std::unordered_map<std::uint64_t, Clock::time_point> slots_;  // time of the owner's last refusal
    std::size_t num_kept_ = 0;
};

}  // namespace solard::server
