// Sets of tokens, one bit for each token of the vocabulary: token t is in the set if bit t % 32 of word t /
// 32 is 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "inference/sizes.hpp"
#include "inference/token_id.hpp"

namespace solard {

inline constexpr std::size_t mask_word_bits = 32;

// Returns the number of words of a set of tokens.
constexpr std::size_t mask_words(std::int32_t vocab_size) {
    return divide_up(count_of(vocab_size), mask_word_bits);
}

// Returns true if the token, which must be in the vocabulary, is in the set.
constexpr bool is_allowed(std::span<const std::uint32_t> mask, TokenId token) {
    return (mask[count_of(token) / mask_word_bits] >> (count_of(token) % mask_word_bits) & 1U) != 0;
}

}  // namespace solard
