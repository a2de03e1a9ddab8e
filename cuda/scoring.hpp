// Looks up tokens of prompts in rows of logits: their log-probabilities, their ranks and the likeliest
// tokens. The log-probabilities have the same bits as those of the sampler's kernel (sampling.hpp).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "inference/backend.hpp"

namespace solard::cuda {

// Writes the scores of token i, as StepResults::scores describes, to scores[tokens[i].first_score] and the
// places after it. Token i is looked up in row i of the logits; tokens[i].row is ignored.
struct ScoreArgs {
    const float* logits;        // [num_tokens, stride]
    const ScoredToken* tokens;  // [num_tokens]
    RankedLogprob* scores;
    std::int64_t stride;
    std::int32_t num_tokens;
    std::int32_t vocab;  // <= 2^18
};
void score(const ScoreArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
