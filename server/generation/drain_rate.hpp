// Measures how fast the engine ends choices when it has as much work as it can take.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace solard::server {

class DrainRate {
  public:
    using Clock = std::chrono::steady_clock;

    // The rate is measured from the latest `num_ends` ends of choices. Choices which start together often end
    // together, so `num_ends` should be several times the number of choices that can run.
    void set_window(std::size_t num_ends) { ends_.resize(num_ends); }

    // Records a step of the engine in which `num_ends` choices ended. `full`: after the step, choices wait
    // because the engine cannot run more. Time and ends count only while the engine is full.
    void add_step(Clock::time_point now, std::size_t num_ends, bool full) {
        if (full_) {
            full_time_ += now - last_step_;
            for (; num_ends > 0; --num_ends) ends_[num_ends_++ % ends_.size()] = full_time_;
        }
        last_step_ = now;
        full_ = full;
    }

    // Returns the mean time between two successive ends of choices. If no end has been recorded, returns how
    // long the engine has been full so far, but at least one second.
    Clock::duration interval(Clock::time_point now) const {
        const auto full_time = full_ ? full_time_ + (now - last_step_) : full_time_;
        const std::size_t known = std::min(num_ends_, ends_.size());
        if (known == 0) return std::max<Clock::duration>(full_time, std::chrono::seconds(1));
        const auto oldest = num_ends_ > ends_.size() ? ends_[num_ends_ % ends_.size()] : Clock::duration{};
        return (full_time - oldest) / static_cast<Clock::rep>(known);
    }

  private:
    // The values of full_time_ at the latest ends of choices.
    std::vector<Clock::duration> ends_ = std::vector<Clock::duration>(32);
    std::size_t num_ends_ = 0;
    Clock::duration full_time_{};
    Clock::time_point last_step_{};
    bool full_ = false;
};

}  // namespace solard::server
