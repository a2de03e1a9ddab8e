// The reference sampler, which chooses one token from the logits of one row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "inference/sampling/token_ranking.hpp"
#include "inference/sampling_row.hpp"
#include "inference/sizes.hpp"

namespace solard {

// The chosen token depends only on its own row. The steps, in this order:
//   1. If the row contains NaN or infinity, the result says so (finite = false) and no token is chosen.
//   2. logit += bias.
//   3. Tokens that the mask does not have are excluded, and then banned tokens, even if they have a bias. If
//      this leaves no token, the bans are ignored.
//   4. Repetition penalty r, for the tokens of the whole context: logit > 0 ? logit / r : logit * r.
//      Source: Keskar et al., "CTRL", 2019, section 4.1, in the sign-aware form of Hugging Face transformers.
//   5. For the tokens of the answer: logit -= count * frequency_penalty + presence_penalty.
//      Source: OpenAI API, "Frequency and presence penalties".
//   6. Temperature: 0 chooses the largest logit; else probabilities are the softmax of logit / temperature.
//   7. top_k: keeps the k likeliest tokens; keeps all if k <= 0 or k >= the size of the vocabulary.
//   8. top_p: renormalises the remaining probabilities and keeps the smallest set of likeliest tokens whose
//      probabilities add up to top_p or more.
//   9. min_p: keeps the tokens with at least min_p times the largest probability.
//  10. One Gumbel-max draw, see gumbel.hpp.
// If two tokens have equal logits, the smaller id always counts as the likelier one. Logits are floats: they
// are rounded after every operation of steps 2 to 5 and kept within the finite range.
//
// Ids outside the vocabulary in a row's context, biases or bans are ignored. All memory is allocated by the
// constructor. Each thread needs its own sampler.
class Sampler {
  public:
    explicit Sampler(std::int32_t vocab_size);
    // Chooses a token; logits: [vocab]. If params.num_logprobs >= 0, also sets the chosen token's logprob and
    // writes the first min(num_logprobs, vocab) elements of `top`, likeliest first. `top` must be empty or
    // have room for these elements. `mask` is the set of tokens that may be chosen, [mask_words(vocab)] and
    // not empty, or no words at all: then it has every token.
    SampledToken sample(std::span<const float> logits, const SamplingRow& row,
                        std::span<TokenLogprob> top = {}, std::span<const std::uint32_t> mask = {});
    // Looks up `token` in the model's own distribution, and writes it and its alternatives to `scores`, as
    // StepResults::scores describes; the size of `scores` is 1 plus the number of alternatives.
    void score(std::span<const float> logits, TokenId token, std::span<RankedLogprob> scores);

  private:
    TokenId choose(std::span<const float> logits, const SamplingRow& row, std::span<const std::uint32_t> mask,
                   TokenId best);
    void change(std::span<const float> logits, const SamplingRow& row, std::span<const std::uint32_t> mask,
                std::span<const TokenId> banned);
    void exclude_others(std::span<const std::uint32_t> mask);
    void penalise(const SamplingRow& row);
    // Does steps 7 to 9: top_k, top_p and min_p.
    std::span<const TokenRank> cut(std::span<const float> logits, const SamplingParams& params,
                                   float largest);
    // Returns the `count` likeliest tokens, likeliest first; all tokens if the vocabulary is smaller.
    std::span<const TokenRank> likeliest(std::span<const float> logits, std::size_t count);
    bool has_top_k(const SamplingParams& params) const {
        return params.top_k > 0 && count_of(params.top_k) < changed_.size();
    }
    bool in_vocabulary(TokenId token) const { return token >= 0 && index_of(token) < changed_.size(); }

    std::vector<float> changed_;         // [vocab], the logits after steps 2 to 5
    std::vector<std::int32_t> counts_;   // [vocab], 0 between samples
    std::vector<TokenRank> candidates_;  // [vocab]
};

}  // namespace solard
