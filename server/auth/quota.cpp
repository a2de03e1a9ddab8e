#include "server/auth/quota.hpp"

#include <string>

namespace solard::server {

result<Quota::Place> Quota::take_place(Clock::time_point now) {
    if (concurrency_ > 0 && in_flight_ >= concurrency_)
        return Error{errc::rate_limit_exceeded, "This API key has reached its concurrency limit (" +
                                                    std::to_string(concurrency_) +
                                                    "). Wait until one of its requests ends."};
    if (per_minute_ > 0) {
        const std::chrono::duration<double, std::ratio<60>> minutes = now - refilled_;
        refilled_ = now;
        tokens_ = std::min(tokens_ + minutes.count() * per_minute_, per_minute_);
        if (tokens_ <= 0) {
            const std::chrono::duration<double, std::ratio<60>> wait((1 - tokens_) / per_minute_);
            const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
            return Error{errc::rate_limit_exceeded,
                         "This API key has reached its tokens-per-minute limit. Retry after " +
                             std::to_string(seconds) + " s.",
                         {},
                         std::chrono::ceil<std::chrono::milliseconds>(wait)};
        }
    }
    ++in_flight_;
    return Place(this);
}

}  // namespace solard::server
