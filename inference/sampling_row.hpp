// One row of logits to sample from, and what comes of it.
#pragma once

#include <cstdint>
#include <span>

#include "inference/sampling_params.hpp"
#include "inference/token_id.hpp"

namespace solard {

// Describes how to choose one token. The spans point into the sequence and stay valid until collect() has
// returned.
struct SamplingRow {
    SamplingParams params;
    // Names the sequence: the same in all of its rows and in every step, and never used again by another one.
    // Code that keeps state for each sequence finds that state by this number.
    std::uint64_t sequence = 0;
    std::int32_t position = 0;  // of the token being chosen: its index in the sequence, prompt included
    std::span<const TokenId> context = {};       // [position]: prompt, answer so far, drafts before this row
    std::int32_t num_prompt_tokens = 0;          // of `context`, from its front
    std::span<const LogitBias> logit_bias = {};  // no token occurs twice
    std::span<const TokenId> banned = {};        // tokens that must not be chosen
};

struct TokenLogprob {
    TokenId token = -1;
    float logprob = 0;  // from the model's own distribution: before bias, penalties, temperature and cuts
};

struct SampledToken {
    TokenId token = -1;
    bool finite = true;  // false: the row held NaN or infinity and `token` is meaningless
    float logprob = 0;   // as TokenLogprob::logprob; set only if params.num_logprobs >= 0
};

}  // namespace solard
