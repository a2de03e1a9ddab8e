// Whether a socket's client is still there and still wanted: pings, silence, idleness, age. Knows no clock.
#pragma once

#include <chrono>
#include <optional>

namespace solard::server {

struct WsLivenessLimits {
    std::chrono::steady_clock::duration ping_interval;  // of silence; half of it while busy
    std::chrono::steady_clock::duration pong_timeout;   // of silence after a ping
    std::chrono::steady_clock::duration idle_timeout;   // without a message and a response
    std::chrono::steady_clock::duration max_age;        // for new requests; 0: any
    double jitter = 0;  // part of a ping interval, from 0 to 0.25, by which it is shortened: sockets must not
                        // tick together
};

class WsLiveness {
  public:
    using Time = std::chrono::steady_clock::time_point;
    enum class Verdict { fine, ping, lost, idle };

    WsLiveness(const WsLivenessLimits& limits, Time now)
        : limits_(limits), begun_(now), last_heard_(now), last_active_(now) {}

    void heard(Time now);                          // a frame of any kind
    void active(Time now) { last_active_ = now; }  // a message came, or a response ended
    void pinged(Time now) { ping_sent_ = now; }

    // `busy`: a response is in flight or waits.
    Verdict verdict(Time now, bool busy) const;
    // When the verdict changes if nothing happens.
    Time due(bool busy) const;

    // No new requests from then on.
    bool too_old(Time now) const { return now >= retires(); }
    Time retires() const;

  private:
    Time ping_due(bool busy) const;

    WsLivenessLimits limits_;
    Time begun_;
    Time last_heard_;
    Time last_active_;
    std::optional<Time> ping_sent_;  // and not answered
};

}  // namespace solard::server
