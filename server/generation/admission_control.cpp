#include "server/generation/admission_control.hpp"

#include <algorithm>
#include <utility>

namespace solard::server {
namespace {

// A single principal may use at most 7/8 of each limit, so that a client with very many requests cannot lock
// out clients with few requests.
std::int64_t principal_part(std::int64_t limit) {
    return limit - limit / 8;
}

}  // namespace

void AdmissionControl::set_limits(const Demand& limits, std::int64_t max_running) {
    shares_.set_limits(limits);
    max_running_ = max_running;
    retries_.set_max_per_owner(static_cast<std::size_t>(4 * limits.choices));
    drain_rate_.set_window(static_cast<std::size_t>(std::max<std::int64_t>(4 * max_running, 32)));
}

result<std::vector<AdmissionControl::Id>> AdmissionControl::check(const Caller& caller, const Demand& demand,
                                                                  Time now) {
    const Demand limits = shares_.limits();
    const Demand own = shares_.in_flight_of(caller);
    const bool exceeds_part =
        own.choices > 0 && (own.choices + demand.choices > principal_part(limits.choices) ||
                            (own.tokens > 0 && own.tokens + demand.tokens > principal_part(limits.tokens)));
    if (exceeds_part)
        return refusal(errc::rate_limit_exceeded, "Your queued requests have reached the limit of one client",
                       caller, demand.choices, now);
    if (auto victims = shares_.make_room(caller, demand, retries_.is_due(caller, now), now))
        return *std::move(victims);
    const bool too_many = shares_.in_flight().choices + demand.choices > limits.choices;
    return refusal(errc::server_overloaded,
                   too_many ? "The waiting queue is full" : "Too many prompt tokens are waiting", caller,
                   demand.choices, now);
}

Error AdmissionControl::displace(Id id, Time now) {
    Error error{errc::server_overloaded,
                "The request lost its place in the queue to a client which has used the server less"};
    error = unanswered(std::move(error), id, now);
    shares_.remove(id);
    return error;
}

Error AdmissionControl::unanswered(Error error, Id id, Time now) {
    const Caller* const found = shares_.find_caller(id);
    if (found == nullptr) return error;
    Caller caller = *found;
    // The admission of this request has ended its reservation. With 0, refusal() makes a new reservation and
    // does not use up the reservation of another request of the same owner.
    if (caller.num_retries) caller.num_retries = 0;
    return refusal(error.code, std::move(error.message), caller, 1, now);
}

void AdmissionControl::add(Id id, const Caller& caller, const Demand& demand, Time now) {
    shares_.add(id, caller, demand, retries_.is_due(caller, now), now);
    retries_.claim(caller);
    // The engine starts this generation in its next step, so the generation does not wait.
    if (shares_.in_flight().choices <= max_running_) shares_.hold(id);
}

Error AdmissionControl::refusal(errc code, std::string message, const Caller& caller,
                                std::int64_t num_choices, Time now) {
    const auto wait = retries_.refuse(caller, num_choices, drain_rate_.interval(now), now);
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    return {code, std::move(message) + "; retry after " + std::to_string(seconds) + " s.", {}, wait};
}

void AdmissionControl::close(const Caller& caller) {
    retries_.close(caller.connection);
    if (!caller.key) shares_.close(caller);
}

}  // namespace solard::server
