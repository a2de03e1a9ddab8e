// A check of the scheduler's bookkeeping, for tests and for an idle engine.
#pragma once

#include "inference/scheduling/block_tables.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

// Checks that the states of all sequences are consistent, and that the charges of principals and the
// reference counts of blocks are right. If a check fails, throws std::logic_error with a message that names
// the fault. Must not be called while a step is being scheduled.
void check_integrity(const StepState& state, const BlockTables& tables);

}  // namespace solard
