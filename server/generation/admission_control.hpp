// Decides which generations may wait for the engine, which generations lose their places to others, and when
// refused clients should retry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/generation/drain_rate.hpp"
#include "server/generation/queue_shares.hpp"
#include "server/generation/retry_schedule.hpp"

namespace solard::server {

// A state machine without clock, sockets and engine. The caller passes the times, which must not decrease.
class AdmissionControl {
  public:
    using Time = Clock::time_point;
    using Id = QueueShares::Id;

    // `seed` is the seed of the random numbers which spread the retries of clients over time.
    explicit AdmissionControl(std::uint64_t seed) : retries_(seed) {}

    // At most `limits` may be in flight, and `max_running` choices can run at the same time.
    void set_limits(const Demand& limits, std::int64_t max_running);

    // Returns the generations which must lose their places so that this demand can be admitted; usually none.
    // The caller of this function then calls displace() for each of these generations, and add() for the new
    // one. Only a refusal changes anything: it makes a reservation, and QueueShares remembers the caller.
    // Errors: rate_limit_exceeded (this principal has reached its part of a limit), server_overloaded.
    result<std::vector<Id>> check(const Caller& caller, const Demand& demand, Time now);
    // Takes the generation's places away. Returns the error with which the generation ends.
    Error displace(Id id, Time now);
    // Returns the error with which an admitted generation ends if it gets no answer. This is `error` plus the
    // time at which the client should retry. The message of `error` must not end with a dot.
    Error unanswered(Error error, Id id, Time now);
    void add(Id id, const Caller& caller, const Demand& demand, Time now);
    // Returns an error which tells the caller when to retry.
    Error refusal(errc code, std::string message, const Caller& caller, std::int64_t num_choices, Time now);
    // Records a step of the engine, as DrainRate::add_step() does.
    void add_step(Time now, std::size_t num_ends, bool full) { drain_rate_.add_step(now, num_ends, full); }
    // Forgets a connection which has closed.
    void close(const Caller& caller);

    // The generations in flight, that is, admitted and not ended.
    QueueShares& shares() { return shares_; }
    const QueueShares& shares() const { return shares_; }

  private:
    QueueShares shares_;
    RetrySchedule retries_;
    DrainRate drain_rate_;
    std::int64_t max_running_ = 0;
};

}  // namespace solard::server
