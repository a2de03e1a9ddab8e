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
    std::uint64_t history = 0;  // any difference in what happened changes it
    std::uint64_t steps = 0;
    std::uint64_t requests = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t cached_tokens = 0;
    std::uint64_t accepted_drafts = 0;
    std::uint64_t forks = 0;
};

// Runs one seed to its end. Throws SimulationFailure, or what the engine throws.
SimulationResult simulate(std::uint64_t seed);
// Runs loads, drawn by the seed, in which it is evident which request must be served when. Throws as
// simulate().
void simulate_fairness(std::uint64_t seed);

}  // namespace solard
