#include "tests/simulation/admission.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace solard::server {
namespace {

constexpr double step_seconds = 0.02;
constexpr double impatience = 0.005;  // seconds until the retry of a client that ignores Retry-After

double seconds(Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

AdmissionSimulation::AdmissionSimulation(const SimulatedMachine& machine, std::uint64_t seed)
    : machine_(machine), random_(seed), admission_(random_()) {
    admission_.set_limits({.choices = machine.num_places(), .tokens = 1'000'000}, machine.max_running);
}

Clock::time_point AdmissionSimulation::now() const {
    const std::chrono::duration<double> since_start(time_);
    return Clock::time_point(std::chrono::hours(1)) +
           std::chrono::duration_cast<Clock::duration>(since_start);
}

std::size_t AdmissionSimulation::add_clients(int count, std::uint64_t owner, const Manner& manner,
                                             double begin) {
    const std::size_t first = clients_.size();
    for (int i = 0; i < count; ++i) {
        const std::uint64_t connection = ++num_connections_;
        if (manner.shares_pool) pool_.push_back(connection);
        clients_.push_back({.manner = manner,
                            .caller = {.principal = connection, .owner = owner, .connection = connection}});
        wake(first + static_cast<std::size_t>(i), begin);
    }
    return first;
}

void AdmissionSimulation::run(double seconds_to_run) {
    for (const double end = time_ + seconds_to_run; time_ < end;) {
        const double next_step = time_ + step_seconds;
        while (!events_.empty() && events_.top().time < next_step) {
            const Event event = events_.top();
            events_.pop();
            time_ = std::max(time_, event.time);
            attempt(event.client);
        }
        time_ = next_step;
        step();
    }
    for (Client& client : clients_)
        if (client.attempts > 0)
            client.longest_wait = std::max(client.longest_wait, time_ - client.call_begin);
}

void AdmissionSimulation::attempt(std::size_t index) {
    Client& client = clients_[index];
    if (client.attempts++ == 0) {
        ++client.calls;
        client.call_begin = time_;
    }
    if (client.manner.shares_pool) {
        client.caller.principal = client.caller.connection = pool_.back();
        pool_.pop_back();
    }
    if (client.manner.counts_retries)
        client.caller.num_retries = static_cast<std::uint32_t>(client.attempts - 1);
    const Demand demand{.choices = 1, .tokens = 10};
    const auto victims = admission_.check(client.caller, demand, now());
    if (!victims) {
        const double delay = seconds(pacer_.next_delay(client.caller.owner, now()));
        return refused(index, victims.error(), delay);
    }
    for (const std::uint64_t id : *victims) {
        const auto job = std::ranges::find(waiting_, id, &Job::id);
        const std::size_t loser = job->client;
        waiting_.erase(job);
        ++num_displaced_;
        const Error error = admission_.displace(id, now());
        refused(loser, error, seconds(pacer_.next_delay(clients_[loser].caller.owner, now())));
    }
    const std::uint64_t id = ++num_jobs_;
    admission_.add(id, client.caller, demand, now());
    waiting_.push_back({id, index, random_.between(client.manner.min_tokens, client.manner.max_tokens)});
}

void AdmissionSimulation::refused(std::size_t index, const Error& error, double delay) {
    Client& client = clients_[index];
    const double wait =
        client.manner.waits_as_told ? std::chrono::duration<double>(error.retry_after).count() : impatience;
    if (client.attempts >= client.manner.max_attempts) {
        ++client.unanswered;
        return finished(index, time_ + delay + std::max(client.manner.seconds_between_calls, impatience));
    }
    if (client.manner.shares_pool) pool_.push_back(client.caller.principal);
    if (client.manner.reconnects) {
        admission_.close(client.caller);
        client.caller.principal = client.caller.connection = ++num_connections_;
    }
    wake(index, time_ + delay + wait);
}

void AdmissionSimulation::finished(std::size_t index, double next) {
    Client& client = clients_[index];
    client.longest_wait = std::max(client.longest_wait, time_ - client.call_begin);
    client.attempts = 0;
    if (client.manner.shares_pool) pool_.push_back(client.caller.principal);
    if (client.manner.reconnects) {
        admission_.close(client.caller);
        client.caller.principal = client.caller.connection = ++num_connections_;
    }
    if (client.calls < client.manner.max_calls) wake(index, next);
}

// Generates one token for each running answer.
void AdmissionSimulation::step() {
    std::size_t num_ends = 0;
    for (Job& job : running_) {
        Client& client = clients_[job.client];
        admission_.shares().serve(job.id, 1, now());
        ++tokens_;
        ++client.tokens;
        if (--job.tokens_left > 0) continue;
        ++num_ends;
        admission_.shares().release(job.id, {.choices = 1});
        ++client.answered;
        client.attempts_of_answered += client.attempts;
        finished(job.client, std::max(time_, client.call_begin + client.manner.seconds_between_calls));
    }
    idle_slots_ += machine_.max_running - static_cast<int>(running_.size());
    std::erase_if(running_, [](const Job& job) { return job.tokens_left == 0; });
    start_waiting();
    admission_.add_step(now(), num_ends, !waiting_.empty());
}

// Gives each free place to the owner that has the fewest running requests, as the engine does. The oldest
// waiting request of this owner begins to run. Its prompt counts as ten tokens.
void AdmissionSimulation::start_waiting() {
    while (!waiting_.empty() && static_cast<int>(running_.size()) < machine_.max_running) {
        std::map<std::uint64_t, int> num_running;
        for (const Job& job : running_) ++num_running[clients_[job.client].caller.owner];
        const auto count = [&](const Job& job) { return num_running[clients_[job.client].caller.owner]; };
        const auto next = std::ranges::min_element(waiting_, {}, count);
        admission_.shares().hold(next->id);
        admission_.shares().release(next->id, {.tokens = 10});
        admission_.shares().serve(next->id, 10, now());
        running_.push_back(*next);
        waiting_.erase(next);
    }
}

}  // namespace solard::server
