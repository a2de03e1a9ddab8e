// One row of logits to sample from, and the token sampled from it.
#pragma once

#include <cstdint>
#include <span>

#include "inference/sampling_params.hpp"
#include "inference/token_id.hpp"

namespace solard {

// Describes how to choose one token. The spans point into the sequence and must stay valid until
// Backend::collect() has returned.
struct SamplingRow {
    SamplingParams params;
    // Identifies the sequence. It is the same in all rows of the sequence and in every step, and no other
    // sequence ever gets it. Code that keeps state for each sequence finds that state by this number.
    std::uint64_t sequence = 0;
    std::int32_t position = 0;                   // index of the token to choose; the prompt begins at index 0
    std::span<const TokenId> context = {};       // [position]: prompt, answer so far, drafts before this row
    std::int32_t num_prompt_tokens = 0;          // size of the prompt, which is the front of `context`
    std::span<const LogitBias> logit_bias = {};  // no token may occur twice
    std::span<const TokenId> banned = {};        // tokens that must not be chosen
    // The index of the set of tokens that may be chosen, among those that Backend::sample() gets; -1: all
    // tokens of the vocabulary. The set is never empty.
    std::int32_t mask = -1;
};

struct TokenLogprob {
    TokenId token = -1;
    float logprob = 0;  // in the model's own distribution, without any SamplingParams, biases or bans
};

// A token of the vocabulary at one place of a prompt, given the tokens before that place.
struct RankedLogprob {
    TokenId token = -1;
    float logprob = 0;  // as TokenLogprob::logprob
    // 1 = the likeliest token; of equally likely tokens, the lower id comes first. In StepResults, 0 means
    // that the row of logits held NaN or infinity.
    std::int32_t rank = 0;
};

struct SampledToken {
    TokenId token = -1;
    bool finite = true;  // false: the row held NaN or infinity and `token` is meaningless
    float logprob = 0;   // as TokenLogprob::logprob; set only if params.num_logprobs >= 0
};

}  // namespace solard
