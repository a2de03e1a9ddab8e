// Random sets of tokens for tests of masks.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "inference/token_id.hpp"
#include "inference/token_mask.hpp"

namespace solard {

// A set that is not empty. Some sets have one token, some nearly all.
struct RandomMask {
    RandomMask(std::mt19937& random, std::size_t vocab)
        : words(mask_words(static_cast<std::int32_t>(vocab))) {
        const unsigned share = std::vector<unsigned>{0, 1, 30, 99}[random() % 4];  // percent
        const auto certain = static_cast<TokenId>(random() % vocab);
        for (TokenId token = 0; token < static_cast<TokenId>(vocab); ++token) {
            if (token != certain && random() % 100 >= share) {
                excluded.push_back(token);
                continue;
            }
            words[static_cast<std::size_t>(token) / mask_word_bits] |=
                std::uint32_t{1} << (static_cast<std::size_t>(token) % mask_word_bits);
        }
    }

    std::vector<std::uint32_t> words;
    std::vector<TokenId> excluded;  // the tokens which the set does not have
};

}  // namespace solard
