// Decides whether a client still takes what is sent to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace solard::server {

// Looks at the progress of one stream in steps of equal length. Eight steps are the window in which a client
// must make progress. Uses no clock: the caller calls note() once per step.
class ProgressWatch {
  public:
    static constexpr std::size_t steps_per_window = 8;
    static constexpr std::uint64_t min_bytes = 3000;  // per window

    // `num_accepted`: the bytes that the client has accepted since the stream was opened. `all_accepted`: no
    // further byte is on its way to the client. Returns true if bytes were on their way during a whole window
    // and the client has accepted fewer than min_bytes in it.
    bool note(std::uint64_t num_accepted, bool all_accepted) {
        if (all_accepted) {
            num_steps_ = 0;
            return false;
        }
        std::uint64_t& oldest = accepted_[num_steps_ % steps_per_window];
        const bool is_stalled = num_steps_ >= steps_per_window && num_accepted - oldest < min_bytes;
        oldest = num_accepted;
        ++num_steps_;
        return is_stalled;
    }

  private:
    std::array<std::uint64_t, steps_per_window> accepted_{};  // at the last steps; used as a ring
    std::uint64_t num_steps_ = 0;                             // since everything was accepted
};

}  // namespace solard::server
