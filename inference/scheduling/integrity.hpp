// A check of the scheduler's bookkeeping, for tests and for an idle engine.
#pragma once

#include "inference/scheduling/block_tables.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

// Checks that all sequences are in order, and that the charges of principals and the reference counts of
// blocks are right. Throws a std::logic_error that says what is wrong, if anything is. Must not be called
// while a step is being scheduled.
void check_integrity(const StepState& state, const BlockTables& tables);

}  // namespace solard
