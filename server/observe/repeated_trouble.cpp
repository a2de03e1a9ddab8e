#include "server/observe/repeated_trouble.hpp"

#include <new>
#include <string>
#include <utility>

namespace solard::server {

std::optional<std::uint64_t> RepeatedTrouble::note(Clock::time_point now) {
    if (last_line_ && now - *last_line_ < interval) {
        ++num_left_out_;
        return std::nullopt;
    }
    last_line_ = now;
    return std::exchange(num_left_out_, 0);
}

void RepeatedTrouble::log(LogLevel level, std::string_view what, std::string_view detail) noexcept {
    const auto num_left_out = note(Clock::now());
    if (!num_left_out) return;
    try {
        std::string line(what);
        line += detail;
        if (*num_left_out > 0)
            line += " (" + std::to_string(*num_left_out) + " similar lines were left out before this one)";
        server::log(level, line);
    } catch (const std::bad_alloc&) {
        // The line is dropped, because a lack of memory for the log must not end the caller.
    }
}

}  // namespace solard::server
