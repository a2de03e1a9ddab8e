#include "server/observe/repeated_trouble.hpp"

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

void RepeatedTrouble::log(LogLevel level, std::string message) {
    const auto num_left_out = note(Clock::now());
    if (!num_left_out) return;
    if (*num_left_out > 0)
        message += " (" + std::to_string(*num_left_out) + " similar lines were left out before this one)";
    server::log(level, message);
}

}  // namespace solard::server
