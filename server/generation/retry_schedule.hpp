// Decides when refused clients should retry, so that each client finds a free place and the clients do not
// all come at the same time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "server/auth/access.hpp"

namespace solard::server {

// Every refused request has a reservation: a time at which a place should be free for this request. By that
// time, enough places should have become free for all earlier reservations and for this one. Requests that
// wait in the queue are not counted, because every answer that ends frees a place, whether requests wait or
// not. Some clients say how often they have retried, as the OpenAI SDKs do. Such a client may have many
// requests refused on one connection, and may retry on another connection, so its reservations belong to its
// owner. Any other client has one reservation for each connection. The class is a state machine without
// clock. Its caller passes the times, which must not decrease.
class RetrySchedule {
  public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    using milliseconds = std::chrono::milliseconds;

    static constexpr milliseconds min_wait{100};
    static constexpr milliseconds max_wait{30'000};
    static constexpr double spread = 0.2;  // a wait of w becomes a random time in [w, (1 + spread) w]

    explicit RetrySchedule(std::uint64_t seed) : random_(seed) {}

    // Limits the number of reservations of one owner, so that an owner with many reservations cannot make all
    // other clients wait.
    void set_max_per_owner(std::size_t count) { max_per_owner_ = count; }

    // Returns how long the caller should wait. `interval` is the mean time in which one place becomes free.
    // If a connection with a reservation comes too early, it keeps its reservation, so that it delays no
    // other client. If the time of the reservation is further away than max_wait, the wait is a random time
    // in [max_wait / 2, max_wait].
    milliseconds refuse(const Caller& caller, std::int64_t num_choices, Clock::duration interval, Time now);
    // Ends the caller's reservation, because the request was admitted.
    void claim(const Caller& caller);
    // Ends the reservation of a connection which has closed.
    void close(std::uint64_t connection);
    // Returns true if the caller has waited until the time of its reservation.
    bool is_due(const Caller& caller, Time now) const;
    std::size_t size() const { return by_time_.size(); }

  private:
    struct Holder {
        bool is_owner;  // false: the holder is a connection
        std::uint64_t number;
        auto operator<=>(const Holder&) const = default;
    };
    using Reservations = std::multimap<Time, std::int64_t>;  // time -> number of choices
    static Holder holder_of(const Caller& caller);
    const Reservations* reservations_of(const Caller& caller) const;
    void add(const Holder& holder, std::int64_t num_choices, Time time);
    void erase_first(std::map<Holder, Reservations>::iterator holder);
    void drop_passed(Time now);

    std::map<Holder, Reservations> reservations_;
    std::multimap<Time, Holder> by_time_;
    std::int64_t num_choices_ = 0;  // sum over all reservations
    std::size_t max_per_owner_ = SIZE_MAX;
    std::mt19937_64 random_;
};

}  // namespace solard::server
