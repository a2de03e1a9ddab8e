#include "server/ws/liveness.hpp"

#include <algorithm>

namespace solard::server {

namespace {

using Duration = std::chrono::steady_clock::duration;

}  // namespace

void WsLiveness::note_input(Time now) {
    last_input_ = now;
    ping_sent_.reset();
}

WsLiveness::Time WsLiveness::ping_due(bool busy) const {
    const auto interval = busy ? limits_.ping_interval / 2 : limits_.ping_interval;
    return last_input_ + std::chrono::duration_cast<Duration>(interval * (1 - limits_.jitter));
}

WsLiveness::Verdict WsLiveness::verdict(Time now, bool busy) const {
    if (ping_sent_) {
        if (now >= *ping_sent_ + limits_.pong_timeout) return Verdict::lost;
    } else if (now >= ping_due(busy)) {
        return Verdict::ping;
    }
    return !busy && now >= last_activity_ + limits_.idle_timeout ? Verdict::idle : Verdict::fine;
}

WsLiveness::Time WsLiveness::due(bool busy) const {
    const Time next = ping_sent_ ? *ping_sent_ + limits_.pong_timeout : ping_due(busy);
    return busy ? next : std::min(next, last_activity_ + limits_.idle_timeout);
}

WsLiveness::Time WsLiveness::retires_at() const {
    return limits_.max_age == Duration::zero() ? Time::max() : opened_at_ + limits_.max_age;
}

}  // namespace solard::server
