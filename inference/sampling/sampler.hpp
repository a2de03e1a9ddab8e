// The reference sampler: logits of one row to one token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "inference/sampling_row.hpp"
#include "inference/sampling/token_ranking.hpp"

namespace solard {

// A token depends on nothing but its own row. In this order:
//   1. A row with NaN or infinity in it is reported and nothing is chosen.
//   2. logit += bias.
//   3. Banned tokens are out for good, whatever their bias; a row that bans every token bans none.
//   4. Repetition penalty r of the whole context's tokens: logit > 0 ? logit / r : logit * r.
//      Source: Keskar et al., "CTRL", 2019, section 4.1, in the sign-aware form of Hugging Face transformers.
//   5. Of the answer's tokens: logit -= count * frequency_penalty + presence_penalty.
//      Source: OpenAI API, "Frequency and presence penalties".
//   6. Temperature: 0 takes the largest logit; else probabilities are the softmax of logit / temperature.
//   7. top_k: the k likeliest; 0, less, or a whole vocabulary keeps all.
//   8. top_p: of what is left, renormalised, the smallest set of likeliest tokens that reaches top_p.
//   9. min_p: of what is left, tokens with at least min_p times the largest probability.
//  10. One Gumbel-max draw, see gumbel.hpp.
// Of tokens with equal logits, the smaller id is always the likelier one. Logits are floats, rounded after
// every operation of 2 to 5 and held within the finite range.
//
// Ids outside the vocabulary in a row's context, biases or bans are ignored. All memory is taken at
// construction; one sampler per thread.
class Sampler {
  public:
    explicit Sampler(std::int32_t vocab_size);
    // logits: [vocab]. Where params.num_logprobs >= 0, the chosen token's logprob is set and the first
    // min(num_logprobs, vocab) of `top` are written, likeliest first; `top` has room for them or is empty.
    SampledToken sample(std::span<const float> logits, const SamplingRow& row,
                        std::span<TokenLogprob> top = {});

  private:
    TokenId choose(std::span<const float> logits, const SamplingRow& row, TokenId best);
    void change(std::span<const float> logits, const SamplingRow& row, std::span<const TokenId> banned);
    void penalise(const SamplingRow& row);
    // Steps 7 to 9.
    std::span<const TokenRank> cut(std::span<const float> logits, const SamplingParams& params,
                                   float largest);
    float log_probabilities(std::span<const float> logits, TokenId best, TokenId chosen,
                            std::span<TokenLogprob> top);
    bool has_top_k(const SamplingParams& params) const {
        return params.top_k > 0 && static_cast<std::size_t>(params.top_k) < changed_.size();
    }
    bool in_vocabulary(TokenId token) const {
        return token >= 0 && static_cast<std::size_t>(token) < changed_.size();
    }

    std::vector<float> changed_;         // [vocab], logits after steps 2 to 5
    std::vector<std::int32_t> counts_;   // [vocab], 0 between samples
    std::vector<TokenRank> candidates_;  // [vocab]
};

}  // namespace solard
