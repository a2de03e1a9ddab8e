// The random part of sampling: draws one token from the softmax of logits / temperature by the Gumbel-max
// trick.
#pragma once

#include <span>

#include "inference/sampling/token_ranking.hpp"
#include "inference/sampling_row.hpp"

namespace solard {

// Returns the token with the largest sum of logit / temperature and noise. Among equal sums, the smallest id
// wins. The noise is -log(-log(u)); u comes from Philox4x32-10, keyed by (seed, choice, position, token id).
// Tokens whose logit is -infinity are never drawn. `best` is the token with the largest logit. Source:
// Maddison, Tarlow, Minka, "A* sampling", NIPS 2014, section 2.
TokenId draw_from_all(std::span<const float> logits, const SamplingRow& row, TokenId best);
// Draws in the same way as draw_from_all(), but only from the tokens in `kept`. These must include `best`.
TokenId draw_from(std::span<const TokenRank> kept, std::span<const float> logits, const SamplingRow& row,
                  TokenId best);

}  // namespace solard
