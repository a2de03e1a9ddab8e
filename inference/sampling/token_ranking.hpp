// Passes over one row of logits, written for the vector unit: no vocabulary is ever sorted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "inference/token_id.hpp"

namespace solard {

// A token as a number, greater = likelier: by logit, and the smaller id among equals.
using TokenRank = std::uint64_t;
TokenRank rank_of(float logit, TokenId token);
TokenId token_of(TokenRank rank);
float logit_of(TokenRank rank);

struct RowMaximum {
    TokenId token = 0;   // of the largest logit, the smallest id among equals; means nothing if one is NaN
    bool finite = true;  // false: a logit is NaN or infinite
};

// logits: [vocab >= 1], here and below.
float largest_of(std::span<const float> logits);  // of numbers
RowMaximum find_maximum(std::span<const float> logits);

// The sum of e^((logit - largest) / temperature).
double exp_sum(std::span<const float> logits, float largest, float temperature);

// The `count` likeliest tokens, 1 <= count <= vocab, in no order; tokens of -infinity are left out. The
// result lies in `scratch`, [vocab].
std::span<TokenRank> find_likeliest(std::span<const float> logits, std::size_t count,
                                    std::span<TokenRank> scratch);

// Every token with logit >= bar, in no order. The result lies in `scratch`, [vocab].
std::span<TokenRank> find_at_least(std::span<const float> logits, float bar, std::span<TokenRank> scratch);

}  // namespace solard
