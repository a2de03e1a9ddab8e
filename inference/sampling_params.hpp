// Parameters for choosing the next token from the logits of one sequence.
#pragma once

#include <cstddef>
#include <cstdint>

#include "inference/token_id.hpp"

namespace solard {

inline constexpr std::int32_t max_top_logprobs = 20;
inline constexpr std::uint32_t max_choices = 8;  // the largest `n` of a request
inline constexpr std::size_t max_logit_biases = 300;

// A bias that is added to the logit of one token.
struct LogitBias {
    TokenId token = 0;
    float bias = 0;  // [-100, 100]
};

// The defaults leave the distribution unchanged. Every step copies this struct, so it owns no memory.
struct SamplingParams {
    float temperature = 1.0F;         // [0, 2]; 0 = greedy
    float top_p = 1.0F;               // (0, 1]
    float min_p = 0.0F;               // [0, 1]
    std::int32_t top_k = 0;           // 0 = all
    float repetition_penalty = 1.0F;  // (0, 2]; for tokens that occur in the prompt or the answer
    float frequency_penalty = 0.0F;   // [-2, 2]; per occurrence in the answer
    float presence_penalty = 0.0F;    // [-2, 2]; for tokens that occur in the answer
    std::int32_t num_logprobs = -1;   // -1: none; n in [0, 20]: the chosen token's, and n alternatives
    std::uint64_t seed = 0;           // the server draws a seed if the client gives none
    std::uint32_t choice = 0;         // index of this choice among the choices of the request

    // Returns true if a penalty changes the logits of tokens that have already occurred.
    bool has_penalties() const {
        return repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0;
    }
};

}  // namespace solard
