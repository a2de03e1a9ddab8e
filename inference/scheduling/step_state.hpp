// The state that the parts of the scheduler share while they plan a step.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/scheduling/fair_share.hpp"
#include "inference/scheduling/sequence.hpp"

namespace solard {

// Holds the running and the waiting sequences, and the rest of the step's budget. Scheduler owns the state,
// and its parts refer to it. The slots of running sequences are charged to their principals here.
struct StepState {
    // `step_budget` is the number of tokens that one step may compute.
    StepState(std::int32_t max_running_sequences, std::int32_t num_blocks, std::int32_t step_budget);

    // Inserts an admitted sequence in the order of arrival, and charges its slots to its principal.
    void insert(SequencePtr sequence);
    // Inserts a sequence whose slot is charged already, in the order of arrival. The sequence is another
    // choice of a request: the slots of all choices were charged when the first choice was inserted.
    void insert_charged(SequencePtr sequence);
    // Takes a sequence out of `running`. Returns null if the sequence does not run.
    SequencePtr take(const Sequence& sequence);
    // Takes out a sequence which must be in `running`. Leaves a null in its place, because the caller is
    // iterating over `running`.
    SequencePtr take_leaving_gap(const Sequence& sequence);
    void remove_gaps() { std::erase(running, nullptr); }

    std::int32_t max_running;  // slots
    FairShare shares;
    std::vector<SequencePtr> running;  // by arrival; a preempted sequence leaves a null until remove_gaps()
    std::int32_t tokens_left = 0;      // of the step's budget
};

}  // namespace solard
