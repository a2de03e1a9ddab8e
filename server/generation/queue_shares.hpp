// Counts how many of the places for requests each owner and each principal uses, and decides which generation
// loses its places to a newcomer.
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

// The amounts for which QueueShares has limits.
struct Demand {
    std::int64_t choices = 0;  // choices which have not ended
    std::int64_t tokens = 0;   // prompt tokens of requests which have produced nothing yet
    Demand& operator+=(const Demand& other);
    Demand& operator-=(const Demand& other);
};

// The use of an owner or of a principal is the sum of two fractions: its fraction of the limit for choices or
// for prompt tokens in flight, whichever fraction is larger, and its fraction of all tokens which the engine
// has computed lately. A generation which only waits can be displaced by a newcomer whose use is smaller. The
// class is a state machine without clock, sockets and engine. Its caller passes the times, which must not
// decrease.
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
    // Returns how many principals of the caller's owner have something in flight. The caller itself is always
    // counted.
    std::size_t num_active(const Caller& caller) const;

    // Returns the generations which must be displaced to make room for this demand. The result is empty if
    // there is room, and nullopt if displacing generations cannot make enough room. The first victims come
    // from the owner with the largest use, if this use is larger than the use of the caller's owner would be.
    // The next victims come from the caller's own owner: from the principal with the largest use, if this use
    // is clearly larger than the caller's use would be. A principal loses its youngest generation first.
    // `comes_when_told`: the request is a retry, and it comes at the time which the server has told the
    // client. If there is no other victim, such a request displaces a first attempt of its own owner (a
    // request that is not a retry). If the uses stay the same, two clients cannot alternately displace each
    // other's generations. If the result is nullopt, the caller's principal is remembered: while it waits,
    // the use of those which are served grows above its own.
    std::optional<std::vector<Id>> make_room(const Caller& caller, const Demand& demand, bool comes_when_told,
                                             Time now);

    // Adds a generation. Newcomers can displace it until hold() is called. If `came_when_told` is true (as in
    // make_room()), only newcomers of other owners can displace it.
    void add(Id id, const Caller& caller, const Demand& demand, bool came_when_told, Time now);
    // The functions below do nothing if the generation was removed before.
    void hold(Id id);
    // Subtracts `part` from the choices and tokens which the generation has in flight. Removes the generation
    // when none of its choices is left.
    void release(Id id, const Demand& part);
    void remove(Id id);
    // Records that the engine has computed `num_tokens` tokens of the generation.
    void serve(Id id, std::int64_t num_tokens, Time now);
    // Forgets the principal of a connection which has closed, as soon as the principal has nothing in flight.
    // The recent use still counts for the owner, so that a client gains nothing by a new connection.
    void close(const Caller& caller);

    // Returns the number of owners which have an entry.
    std::size_t num_owners() const { return owners_.size(); }

  private:
    // `recent` is a weighted number of tokens: a token counts twice as much as a token which was computed one
    // half-life earlier. The weights grow with time, so only the ratio of two such numbers has a meaning.
    struct Principal {
        Demand in_flight = {};
        double recent = 0;
        bool was_admitted = false;
        bool closed = false;
    };
    using Principals = std::unordered_map<std::uint64_t, Principal>;
    struct Owner {
        Demand in_flight;
        double recent = 0;
        // The principals which are not closed or have something in flight.
        Principals principals;
        std::size_t num_admitted = 0;  // principals with was_admitted
    };
    struct Entry {
        Caller caller;
        Demand in_flight;
        bool displaceable = true;
        bool came_when_told = false;
        Owner* owner;
        Principal* principal;
    };
    class Victims;
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
    static double starting_recent(const Owner& owner);
    Principal& enter(const Caller& caller);
    static void erase(Owner& owner, Principals::iterator principal);
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
