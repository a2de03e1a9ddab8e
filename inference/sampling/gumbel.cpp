#include "inference/sampling/gumbel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "inference/sampling/philox.hpp"

namespace solard {
namespace {

// An upper bound of noise_of(): -log(-log(1 - 2^-33)) = 22.87, plus a margin for rounding.
constexpr double max_noise = 22.9;
// The number of tokens in a block. All tokens of a block share one lower bound of the noise that a token
// needs to win.
constexpr std::size_t block_width = 32;

std::uint32_t random_word(const SamplingRow& row, TokenId token) {
    const std::uint64_t seed = row.params.seed;
    return philox4x32_10(
        {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(row.position), row.params.choice, 0},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)})[0];
}

double noise_of(std::uint32_t word) {
    const double uniform = (word + 0.5) * 0x1p-32;  // in (0, 1)
    return -std::log(-std::log(uniform));
}

// Returns a lower bound for random words: if the noise of a word is at least `needed`, the word is not below
// the bound. The reason is that -log(u) >= 1 - u, so that the noise is at most -log(1 - u). The margin of
// 1e-9 is far above the rounding error of noise_of().
std::uint32_t least_word(double needed) {
    const double words_above = std::exp(-needed) * 0x1p32 * (1 + 1e-9) + 1;
    return words_above < 0x1p32 ? static_cast<std::uint32_t>(0x1p32 - words_above) : 0;
}

template <class TokenAt>
TokenId draw(std::span<const float> logits, const SamplingRow& row, TokenId best, std::size_t count,
             const TokenAt& token_at) {
    const float largest = logits[index_of(best)];
    const auto scaled = [&](float logit) {
        return static_cast<double>(logit - largest) / row.params.temperature;
    };
    double best_score = noise_of(random_word(row, best));
    std::array<float, block_width> block;
    for (std::size_t begin = 0; begin < count; begin += block_width) {
        const std::size_t size = std::min(block_width, count - begin);
        for (std::size_t i = 0; i < size; ++i) {
            block[i] = logits[index_of(token_at(begin + i))];
        }
        // The noise is bounded: a token with a logit below the bar cannot win, so its noise is not computed.
        const double bar = largest + row.params.temperature * (best_score - max_noise);
        const float block_largest = largest_of({block.data(), size});
        if (block_largest < bar) continue;

        const std::uint32_t least = least_word(best_score - scaled(block_largest));
        for (std::size_t i = 0; i < size; ++i) {
            if (block[i] < bar) continue;
            const TokenId token = token_at(begin + i);
            const std::uint32_t word = random_word(row, token);
            if (word < least) continue;
            const double score = scaled(block[i]) + noise_of(word);
            if (score > best_score || (score == best_score && token < best)) {
                best_score = score;
                best = token;
            }
        }
    }
    return best;
}

}  // namespace

TokenId draw_from_all(std::span<const float> logits, const SamplingRow& row, TokenId best) {
    return draw(logits, row, best, logits.size(), [](std::size_t i) { return static_cast<TokenId>(i); });
}

TokenId draw_from(std::span<const TokenRank> kept, std::span<const float> logits, const SamplingRow& row,
                  TokenId best) {
    return draw(logits, row, best, kept.size(), [&](std::size_t i) { return token_of(kept[i]); });
}

}  // namespace solard
