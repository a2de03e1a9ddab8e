// The random part of sampling: one draw from the softmax of logits / temperature by the Gumbel-max trick.
#pragma once

#include <span>

#include "inference/sampling_row.hpp"
#include "inference/sampling/token_ranking.hpp"

namespace solard {

// argmax of logit / temperature + noise, the smallest id among equals; noise is -log(-log(u)) with u of
// Philox4x32-10 keyed by (seed, choice, position, token id). Tokens whose logit is -infinity are never drawn.
// `best` is the token of the largest logit.
// Source: Maddison, Tarlow, Minka, "A* sampling", NIPS 2014, section 2.
TokenId draw_from_all(std::span<const float> logits, const SamplingRow& row, TokenId best);
// The same among the tokens of `kept`, which `best` is one of.
TokenId draw_from(std::span<const TokenRank> kept, std::span<const float> logits, const SamplingRow& row,
                  TokenId best);

}  // namespace solard
