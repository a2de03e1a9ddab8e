// Ranks the tokens of one row of logits: finds the largest logit, the likeliest tokens, and the tokens above
// a bar. The loops are written so that the compiler vectorises them, and the vocabulary is never sorted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "inference/token_id.hpp"

namespace solard {

// A logit and its token as one number: the token with the greater rank is likelier. If two logits are equal,
// the token with the smaller id counts as likelier.
using TokenRank = std::uint64_t;
TokenRank rank_of(float logit, TokenId token);
TokenId token_of(TokenRank rank);
float logit_of(TokenRank rank);

// Returns the index of `token`, which must not be negative, in a row of logits.
constexpr std::size_t index_of(TokenId token) {
    return static_cast<std::size_t>(token);
}

struct RowMaximum {
    TokenId token = 0;   // smallest id with the largest logit; undefined if any logit is NaN
    bool finite = true;  // false if a logit is NaN or infinite
};

// Returns the largest logit. No logit may be NaN. Here and below, `logits` must not be empty.
float largest_of(std::span<const float> logits);
RowMaximum find_maximum(std::span<const float> logits);

// Returns how many tokens are likelier than `token`. No logit may be NaN.
std::int32_t num_likelier(std::span<const float> logits, TokenId token);

// Returns the sum of e^((logit - largest) / temperature).
double exp_sum(std::span<const float> logits, float largest, float temperature);

// Returns the `count` likeliest tokens in no particular order; 1 <= count <= vocab. Tokens with a logit of
// -infinity are left out. The result lies in `scratch`, [vocab].
std::span<TokenRank> find_likeliest(std::span<const float> logits, std::size_t count,
                                    std::span<TokenRank> scratch);

// Returns every token with logit >= bar in no particular order. The result lies in `scratch`, [vocab].
std::span<TokenRank> find_at_least(std::span<const float> logits, float bar, std::span<TokenRank> scratch);

}  // namespace solard
