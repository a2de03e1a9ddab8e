// Turns the scheduled sequences into the flat arrays of one step.
#pragma once

#include <cstdint>
#include <span>

#include "inference/backend.hpp"
#include "inference/scheduling/sequence.hpp"

namespace solard {

// Reserves the memory of a batch for the largest step, so that filling the batch allocates nothing.
void reserve_batch(ForwardBatch& batch, std::int32_t max_tokens, std::int32_t max_seqs,
                   std::int32_t max_model_len);

// Fills `batch` with the next num_scheduled_tokens of each sequence, in order. Sets first_score and
// num_scores of each sequence, and first_row of each sequence that samples. The rows of a sequence begin at
// its first_row: first the row that chooses its next token, then one row per draft, then the first row of
// each other choice.
void fill_batch(ForwardBatch& batch, std::span<Sequence* const> scheduled);

}  // namespace solard
