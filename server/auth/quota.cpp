#include "server/auth/quota.hpp"

#include <string>

namespace solard::server {

result<Quota::Ticket> Quota::admit(Clock::time_point now) {
    if (concurrency_ > 0 && in_flight_ >= concurrency_)
        return Error{errc::rate_limit_exceeded, "This API key may have " + std::to_string(concurrency_) +
                                                    " requests in flight; wait for one to end."};
    if (per_minute_ > 0) {
        const std::chrono::duration<double, std::ratio<60>> minutes = now - filled_;
        filled_ = now;
        tokens_ = std::min(tokens_ + minutes.count() * per_minute_, per_minute_);
        if (tokens_ <= 0) {
            const std::chrono::duration<double, std::ratio<60>> wait((1 - tokens_) / per_minute_);
            return Error{errc::rate_limit_exceeded,
                         "This API key has used its tokens of the minute.",
                         {},
                         std::chrono::ceil<std::chrono::milliseconds>(wait)};
        }
    }
    ++in_flight_;
    return Ticket(this);
}

}  // namespace solard::server
