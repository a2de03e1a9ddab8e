// Who uses how many of the places for requests, and who gives up a place for a newcomer.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "inference/request.hpp"
#include "server/auth/access.hpp"

namespace solard::server {

// An amount of what is limited.
struct Demand {
    std::int64_t choices = 0;  // choices which have not ended
    std::int64_t tokens = 0;   // prompt tokens of requests which have produced nothing yet
    Demand& operator+=(const Demand& other);
    Demand& operator-=(const Demand& other);
};

// The use of an owner or of a principal is the sum of two parts: its part of what is in flight (of the
// choices or of the prompt tokens, whichever is larger), and its part of the tokens which the engine has
// computed for everybody lately. A generation which only waits can be displaced by a newcomer whose use is
// smaller. This is a state machine without clock, sockets and engine. Its times must not decrease.
class QueueShares {
  public:
    using Time = Clock::time_point;
    using Id = RequestId;  // of the first request of a generation

    // At most `limits` may be in flight. If no prompt token waits, a prompt of any size may be added.
    void set_limits(const Demand& limits) { limits_ = limits; }
    const Demand& limits() const { return limits_; }

    const Demand& in_flight() const { return in_flight_; }
    // Returns what this principal has in flight.
    Demand in_flight_of(const Caller& caller) const;
    // Returns the caller of a generation, or null if it was removed.
    const Caller* find_caller(Id id) const;
    // Returns how many principals of the caller's owner have something in flight. The caller counts in any
    // case.
    std::size_t num_active(const Caller& caller) const;

    // Returns the generations which must be displaced to make room for a demand of this caller: none if there
    // is room. Returns nullopt if there is no room and displacing does not help. The first victims come from
    // the owner with the largest use, if it is larger than the use of the caller's owner would be. If there
    // is no such owner, they come from other principals of the caller's owner, by the same rule. An owner
    // gives up the youngest generation of its principal with the largest use. So nobody can displace the one
    // who has displaced it, as long as the uses stay as they are.
    std::optional<std::vector<Id>> make_room(const Caller& caller, const Demand& demand, bool comes_when_told,
                                             Time now);

    // Adds a generation. It can be displaced until hold() is called, but by other owners only if it came at
    // the time which it was told.
    void add(Id id, const Caller& caller, const Demand& demand, bool came_when_told, Time now);
    // The functions below do nothing if the generation was removed before.
    void hold(Id id);
    // Takes `part` off what the generation has in flight. Removes it when no choice is left.
    void release(Id id, const Demand& part);
    void remove(Id id);
    // Records that the engine has computed `num_tokens` tokens of the generation.
    void serve(Id id, std::int64_t num_tokens, Time now);
    // Forgets a connection which has closed, as soon as it has nothing in flight. Its owner keeps what the
    // connection has used, so that a new connection gains nothing over an old one.
    void close(const Caller& caller);

    // Returns the number of owners about which something is known.
    std::size_t num_owners() const { return owners_.size(); }

  private:
    // The recent tokens are weighted: a token counts twice as much as one that is a half-life older. So only
    // the ratio of two amounts means something.
    struct Principal {
        Demand in_flight = {};
        double recent = 0;
        bool closed = false;
    };
    struct Owner {
        Demand in_flight;
        double recent = 0;
        std::unordered_map<std::uint64_t, Principal> principals;  // open ones, and those with work in flight
    };
    struct Entry {
        Caller caller;
        Demand in_flight;
        bool displaceable = true;
        bool came_when_told = false;
        Owner* owner;
        Principal* principal;
    };
    struct Newcomer {
        const Caller& caller;
        double owner_use;
        double principal_use;
        bool comes_when_told;
    };
    enum class Reason : std::uint8_t { first_attempt, other_principal, other_owner };
    using Rank = std::tuple<Reason, double, double, Id>;
    std::optional<Rank> rank(Id id, const Entry& entry, const Newcomer& newcomer) const;
    double use(const Demand& in_flight, double recent) const;
    double starting_recent(const Owner& owner) const;
    Newcomer judge(const Caller& caller, const Demand& demand, bool comes_when_told) const;
    bool has_room(const Demand& demand) const;
    std::map<Id, Entry>::iterator find_victim(const Newcomer& newcomer);
    void advance(Time now);

    Demand limits_;
    Demand in_flight_;
    double recent_ = 0;  // of all owners
    double weight_ = 1;  // of a token at `weight_time_`
    Time weight_time_{};
    std::unordered_map<std::uint64_t, Owner> owners_;
    std::map<Id, Entry> entries_;  // in the order of arrival
};

}  // namespace solard::server
