// The reference sampler: logits of one row to one token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/backend.hpp"

namespace solard {

// Order: temperature, then top_p, then one Gumbel-max draw whose noise is Philox4x32-10 keyed by
// (seed, choice, position, token id), so that a token depends on nothing but its own row. Temperature 0 takes
// the largest logit, the smallest id among equals. Takes its scratch memory once; one per thread.
class Sampler {
  public:
    explicit Sampler(std::int32_t vocab_size);
    // logits: [vocab]. `finite` is false when any of them is NaN or infinite.
    SampledToken sample(std::span<const float> logits, const SamplingRow& row);

  private:
    // The smallest set of tokens, likeliest first and smaller ids first among equals, that holds top_p.
    std::span<const TokenId> nucleus(std::span<const float> logits, const SamplingParams& params);

    std::vector<float> probabilities_;  // [vocab], not normalised
    std::vector<TokenId> candidates_;   // [vocab]
};

}  // namespace solard
