// Decides whether a client still accepts the bytes that are sent to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace solard::server {

// Looks at the progress of one stream at regular intervals, called steps. A client must make progress within
// a window of eight steps. This class uses no clock: the caller calls note() once per step.
class ProgressWatch {
  public:
    static constexpr std::size_t steps_per_window = 8;
    static constexpr std::uint64_t min_bytes = 3000;  // per window

    // `num_accepted` is the number of bytes that the client has accepted since the stream was opened.
    // `all_accepted` is true if no further byte is on its way to the client. Returns true if bytes were on
    // their way during a whole window and the client has accepted fewer than min_bytes in that window.
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
    std::array<std::uint64_t, steps_per_window> accepted_{};  // num_accepted in the last steps; a ring
    std::uint64_t num_steps_ = 0;                             // number of steps since all bytes were accepted
};

}  // namespace solard::server
