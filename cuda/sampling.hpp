// The sampler on the device: the ten steps of inference/sampling/sampler.hpp, with one thread block per row.
//
// The device chooses the same token as the reference sampler: it computes the same floats in the same order
// of operations (sampling.cu is compiled without floating-point contraction) and draws the same noise. Where
// the reference adds probabilities in double, the device adds integers, whose sum does not depend on the
// order of the threads. The chosen tokens may therefore differ if the sum of a top_p cut lies within 1e-9 of
// top_p. The log-probabilities may differ in their last bits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/backend.hpp"

namespace solard::cuda {

// The number of times that a token occurs in the answer, plus the bit in_prompt if the prompt contains it.
using TokenCount = std::uint32_t;
inline constexpr TokenCount in_prompt = 0x80000000;

// Tokens that the counts of a sequence do not include yet.
struct CountUpdate {
    std::int32_t slot = 0;
    std::int32_t reset = 0;        // 1: the slot belonged to another sequence and is cleared first
    std::int32_t first_token = 0;  // index into UpdateCountsArgs::tokens
    std::int32_t num_tokens = 0;
    std::int32_t num_prompt_tokens = 0;  // number of leading tokens that belong to the prompt
};

// Adds the tokens of every update to counts[slot, token]. Ids outside the vocabulary are ignored.
struct UpdateCountsArgs {
    TokenCount* counts;          // [slots, vocab]
    const CountUpdate* updates;  // [num_updates], at most one per slot
    const std::int32_t* tokens;  // of all updates
    std::int32_t num_updates;
    std::int32_t vocab;
};
void update_counts(const UpdateCountsArgs& args, cudaStream_t stream);

// A SamplingRow whose lists are parts of the step's arrays.
struct SampleRow {
    SamplingParams params;
    std::int32_t position = 0;
    std::int32_t first_bias = 0;
    std::int32_t num_biases = 0;
    std::int32_t first_ban = 0;
    std::int32_t num_bans = 0;
    std::int32_t mask = -1;  // index of the row's mask; -1: it has none
    std::int32_t slot = -1;  // row of the counts; -1: no penalties apply
    // The draft tokens in the context. The counts do not include them, because they may be rejected.
    std::int32_t first_draft = 0;
    std::int32_t num_drafts = 0;
};

struct SampleArgs {
    const float* logits;         // [num_rows, stride]
    float* changed;              // [num_rows, vocab], scratch for rows with biases, bans, penalties or a mask
    const SampleRow* rows;       // [num_rows]
    const LogitBias* biases;     // of all rows; no token may occur twice in one row
    const std::int32_t* bans;    // of all rows
    const std::int32_t* drafts;  // of all rows
    const std::uint32_t* masks;  // [rows with a mask, mask_words(vocab)], see inference/token_mask.hpp
    const TokenCount* counts;    // [slots, vocab]
    SampledToken* sampled;       // [num_rows]
    TokenLogprob* top;           // [num_rows, max_top_logprobs], filled for rows with num_logprobs > 0
    std::int32_t* tokens;        // [num_rows], the chosen tokens again, for the next step
    std::int64_t stride;
    std::int32_t num_rows;
    std::int32_t vocab;  // <= 2^18
};
void sample(const SampleArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
