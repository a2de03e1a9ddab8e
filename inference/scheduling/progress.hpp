// Tells clients how far their sequences have come.
#pragma once

#include <vector>

#include "inference/request.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

class ProgressReport {
  public:
    // Appends the stage of each sequence whose stage has changed since the last call.
    void append_changes(StepState& state, std::vector<ProgressEvent>& out);

  private:
    std::vector<PrincipalShare*> round_;  // used in append_changes() only; kept to reuse its memory
};

}  // namespace solard
