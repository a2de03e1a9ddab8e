// Decides when to ping the client of a socket, and when to close the socket because the client is silent, the
// socket is idle or the socket is too old. Uses no clock: the caller passes the time.
#pragma once

#include <chrono>
#include <optional>

namespace solard::server {

struct WsLivenessLimits {
    // The time of silence after which a ping is sent. It is halved if a response is in flight or a request
    // waits.
    std::chrono::steady_clock::duration ping_interval;
    // The time of silence after a ping, after which the client counts as lost.
    std::chrono::steady_clock::duration pong_timeout;
    // The time without any message or response after which the socket is closed.
    std::chrono::steady_clock::duration idle_timeout;
    // The age from which on new requests are refused; 0: no limit.
    std::chrono::steady_clock::duration max_age;
    // The fraction by which the ping interval is shortened, from 0 to 0.25. The fraction differs between
    // sockets, so that the pings of many sockets do not come at the same time.
    double jitter = 0;
};

class WsLiveness {
  public:
    using Time = std::chrono::steady_clock::time_point;
    enum class Verdict { fine, ping, lost, idle };

    WsLiveness(const WsLivenessLimits& limits, Time now)
        : limits_(limits), opened_at_(now), last_input_(now), last_activity_(now) {}

    void note_input(Time now);  // must be called when any part of a frame has come
    // Must be called when a message has come or a response has ended.
    void note_activity(Time now) { last_activity_ = now; }
    void note_ping_sent(Time now) { ping_sent_ = now; }

    // `busy`: a response is in flight, or a request waits.
    Verdict verdict(Time now, bool busy) const;
    // Returns the time at which the verdict changes if nothing happens before.
    Time due(bool busy) const;

    // Returns true from the time retires_at() on. From then on, the socket refuses new requests.
    bool too_old(Time now) const { return now >= retires_at(); }
    Time retires_at() const;

  private:
    Time ping_due(bool busy) const;

    WsLivenessLimits limits_;
    Time opened_at_;
    Time last_input_;
    Time last_activity_;
    std::optional<Time> ping_sent_;  // empty if input has come since the last ping
};

}  // namespace solard::server
