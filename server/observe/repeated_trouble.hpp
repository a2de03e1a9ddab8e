// Limits the log lines about problems that clients or the system can cause again and again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/observe/log.hpp"

namespace solard::server {

// One kind of problem. At most one line per second is written about this kind. The next line says how many
// lines were left out. Each object must be used by one thread only.
class RepeatedTrouble {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds interval{1};

    // Records that the problem occurred at `now`. If a line may be written, returns the number of lines that
    // were left out since the last line.
    std::optional<std::uint64_t> note(Clock::time_point now);
    // Records that the problem occurred now. Writes the line `what` + `detail`, unless a line was written
    // less than a second ago or memory is missing.
    void log(LogLevel level, std::string_view what, std::string_view detail = {}) noexcept;

  private:
    std::optional<Clock::time_point> last_line_;
    std::uint64_t num_left_out_ = 0;
};

}  // namespace solard::server
