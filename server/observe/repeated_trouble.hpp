// Limits how often a problem is logged that clients or the system can cause again and again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/observe/log.hpp"

namespace solard::server {

// One kind of problem. At most one line per second is written about it; the next line says how many were left
// out. One thread only.
class RepeatedTrouble {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds interval{1};

    // Records that the problem occurred at `now`. If a line may be written, returns how many were left out
    // since the last one.
    std::optional<std::uint64_t> note(Clock::time_point now);
    // Records that the problem occurred now, and writes the line `what` + `detail` if it may be written and
    // there is memory for it.
    void log(LogLevel level, std::string_view what, std::string_view detail = {}) noexcept;

  private:
    std::optional<Clock::time_point> last_line_;
    std::uint64_t num_left_out_ = 0;
};

}  // namespace solard::server
