// A deterministic simulation of the engine's step: a seed determines the machine, its load and its failures.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace solard {

// An invariant that did not hold; what() names the step, the request and the problem.
struct SimulationFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct SimulationResult {
    std::uint64_t history = 0;  // a hash of all events, in their order
    std::uint64_t steps = 0;
    std::uint64_t requests = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t cached_tokens = 0;
    std::uint64_t accepted_drafts = 0;
    std::uint64_t forks = 0;
    std::uint64_t prompt_logprobs = 0;         // entries
    std::uint64_t preempted_while_scored = 0;  // preemptions after a part of the prompt's log-probabilities
};

// Runs the simulation of one seed to its end. Throws SimulationFailure. Exceptions of the engine pass
// through.
SimulationResult simulate(std::uint64_t seed);
// Checks fair shares with loads in which it is evident when each request must be served. The seed draws the
// loads. Throws the same exceptions as simulate().
void simulate_fairness(std::uint64_t seed);

}  // namespace solard
