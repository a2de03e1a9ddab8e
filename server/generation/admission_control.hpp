// Decides which generations may wait for the engine, which give up their places for others, and when refused
// clients should retry.
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

// A state machine without clock, sockets and engine; times must not decrease.
class AdmissionControl {
  public:
    using Time = Clock::time_point;
    using Id = QueueShares::Id;

    // `seed` decides how the times at which clients retry are spread.
    explicit AdmissionControl(std::uint64_t seed) : retries_(seed) {}

    // At most `limits` may be in flight, and `max_running` choices can run at once.
    void set_limits(const Demand& limits, std::int64_t max_running);

    // Returns the generations which give up their places so that this demand can be admitted; usually none.
    // Changes nothing: the caller then calls displace() for each of them and add(). Errors:
    // rate_limit_exceeded (this principal has reached its part of a limit), server_overloaded.
    result<std::vector<Id>> check(const Caller& caller, const Demand& demand, Time now);
    // Takes the generation's places away. Returns the error with which it ends.
    Error displace(Id id, Time now);
    // Returns the error with which a generation ends that was admitted but not answered: `error`, whose
    // message must not end with a dot, with the time at which its caller should retry.
    Error unanswered(Error error, Id id, Time now);
    void add(Id id, const Caller& caller, const Demand& demand, Time now);
    // Returns an error which tells the caller when to retry.
    Error refusal(errc code, std::string message, const Caller& caller, std::int64_t num_choices, Time now);
    // Records a step of the engine, as DrainRate::add_step() does.
    void add_step(Time now, std::size_t num_ends, bool full) { drain_rate_.add_step(now, num_ends, full); }
    // Forgets a connection which has closed.
    void close(const Caller& caller);

    // What is in flight: the functions of QueueShares for generations which were admitted.
    QueueShares& shares() { return shares_; }
    const QueueShares& shares() const { return shares_; }

  private:
    QueueShares shares_;
    RetrySchedule retries_;
    DrainRate drain_rate_;
    std::int64_t max_running_ = 0;
};

}  // namespace solard::server
