// Limits how fast each owner gets refusals, so that a client which retries at once costs the server little.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace solard::server {

// A token bucket for each owner. A state machine without clock: times must not decrease.
class RefusalPacer {
  public:
    using Clock = std::chrono::steady_clock;

    static constexpr int burst = 64;  // refusals that are sent at once
    static constexpr Clock::duration interval{std::chrono::milliseconds(5)};  // between two later ones
    static constexpr Clock::duration max_delay{std::chrono::seconds(5)};

    // Returns after how long the owner's next refusal should be sent.
    Clock::duration next_delay(std::uint64_t owner, Clock::time_point now) {
        forget_old(now);
        // The owner may run ahead of its slot by a burst.
        Clock::time_point& slot = slots_.try_emplace(owner, now - burst * interval).first->second;
        slot = std::clamp(slot + interval, now - (burst - 1) * interval, now + max_delay);
        return std::max(slot - now, Clock::duration{});
    }
    std::size_t num_owners() const { return slots_.size(); }

  private:
    // An owner whose burst is whole again needs no entry.
    void forget_old(Clock::time_point now) {
        if (slots_.size() < 2 * num_kept_ + 64) return;
        std::erase_if(slots_, [&](const auto& entry) { return entry.second <= now - burst * interval; });
        num_kept_ = slots_.size();
    }

    std::unordered_map<std::uint64_t, Clock::time_point> slots_;  // time of the owner's last refusal
    std::size_t num_kept_ = 0;
};

}  // namespace solard::server
