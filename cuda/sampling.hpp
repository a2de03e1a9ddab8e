// The sampler on the device: inference/sampling/sampler.hpp's ten steps, a block a row.
//
// It chooses what the reference sampler chooses: the same floats in the same order of operations (the file is
// compiled without contraction), the same noise. Where the reference adds probabilities in double, the device
// adds whole numbers, whose sum does not depend on the order of the threads: the two may differ where a cut's
// mass lies within 1e-9 of its bound, and in the last bits of a log-probability.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/backend.hpp"

namespace solard::cuda {

// How often a token stands in the answer, and in_prompt where the prompt has it.
using TokenCount = std::uint32_t;
inline constexpr TokenCount in_prompt = 0x80000000;

// Tokens that a sequence's counts do not know yet.
struct CountUpdate {
    std::int32_t slot = 0;
    std::int32_t reset = 0;        // 1: the slot belonged to another sequence
    std::int32_t first_token = 0;  // into UpdateCountsArgs::tokens
    std::int32_t num_tokens = 0;
    std::int32_t num_prompt_tokens = 0;  // of these, from their front
};

// counts[slot, token] follows every token named. Ids outside the vocabulary are ignored.
struct UpdateCountsArgs {
    TokenCount* counts;          // [slots, vocab]
    const CountUpdate* updates;  // [num_updates], each slot once
    const std::int32_t* tokens;  // of all updates
    std::int32_t num_updates;
    std::int32_t vocab;
};
void update_counts(const UpdateCountsArgs& args, cudaStream_t stream);

// SamplingRow, with places in the step's arrays for its lists.
struct SampleRow {
    SamplingParams params;
    std::int32_t position = 0;
    std::int32_t first_bias = 0;
    std::int32_t num_biases = 0;
    std::int32_t first_ban = 0;
    std::int32_t num_bans = 0;
    std::int32_t slot = -1;  // of the counts; -1: the row has no penalties
    // Tokens of the context that the slot does not count: drafts, which may be rejected.
    std::int32_t first_draft = 0;
    std::int32_t num_drafts = 0;
};

struct SampleArgs {
    const float* logits;         // [num_rows, stride]
    float* changed;              // [num_rows, vocab], scratch: rows with bias, bans or penalties
    const SampleRow* rows;       // [num_rows]
    const LogitBias* biases;     // of all rows; a row's own name each token once
    const std::int32_t* bans;    // of all rows
    const std::int32_t* drafts;  // of all rows
    const TokenCount* counts;    // [slots, vocab]
    SampledToken* sampled;       // [num_rows]
    TokenLogprob* top;           // [num_rows, max_top_logprobs], of rows that ask
    std::int32_t* tokens;        // [num_rows], the chosen ones again, for the next step
    std::int64_t stride;
    std::int32_t num_rows;
    std::int32_t vocab;  // <= 2^18
};
void sample(const SampleArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
