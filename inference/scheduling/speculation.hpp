// Speculative decoding: drafts by prompt lookup, or what the grammar of an answer prescribes, verified by the
// next step.
#pragma once

#include <cstdint>

#include "inference/backend.hpp"
#include "inference/request.hpp"
#include "inference/scheduling/block_tables.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

class Speculation {
  public:
    // If a step only decodes, drafts are added until the step has `max_step_rows` rows; 0 = no speculation.
    // `state` and `tables` must outlive the object.
    Speculation(StepState& state, BlockTables& tables, std::int32_t max_step_rows);

    // Appends drafts to sequences that decode. Drafts are nearly free in a step that only decodes and has few
    // rows. Other steps get no drafts.
    void schedule_drafts();
    // Keeps the confirmed drafts, drops the other drafts and appends the token that the step drew after the
    // confirmed drafts. Returns the number of new tokens, including the confirmed drafts.
    std::int32_t keep_confirmed_drafts(Sequence& sequence, const StepResults& results);
    void fill_snapshot(EngineSnapshot& snapshot) const;

  private:
    void append_draft(Sequence& sequence, std::int32_t max_tokens);

    StepState& state_;
    BlockTables& tables_;
    std::int32_t max_step_rows_;
    std::uint64_t num_drafted_ = 0;   // tokens
    std::uint64_t num_accepted_ = 0;  // of num_drafted_
};

}  // namespace solard
