#include "inference/sampling/token_ranking.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "inference/sampling/exp_approx.hpp"

namespace solard {
namespace {

// The number of independent sums. With a single sum the loop could not be vectorised, because the compiler
// may not reorder its additions.
constexpr std::size_t num_lanes = 16;
// The number of logits that are skipped together if the largest of them is too small.
constexpr std::size_t block_width = 64;
constexpr std::uint32_t sign_bit = 0x80000000;

// Maps the bits of a float to an integer. The integers have the same order as the floats, with -0 just below
// +0. Integers are used because the compiler vectorises the minimum and maximum of integers, but not of
// floats. The function is its own inverse.
std::int32_t ordered(std::int32_t bits) {
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

std::int32_t key_of(float x) {
    return ordered(std::bit_cast<std::int32_t>(x));
}

float float_of(std::int32_t key) {
    return std::bit_cast<float>(ordered(key));
}

// Calls accept(logit, token, bar) for every logit >= bar, in order of ids. accept returns the bar for the
// tokens that follow.
template <class Accept>
void for_each_at_least(std::span<const float> logits, float bar, const Accept& accept) {
    for (std::size_t begin = 0; begin < logits.size(); begin += block_width) {
        const auto block = logits.subspan(begin, std::min(block_width, logits.size() - begin));
        if (largest_of(block) < bar) continue;
        for (std::size_t i = 0; i < block.size(); ++i) {
            if (block[i] >= bar) bar = accept(block[i], static_cast<TokenId>(begin + i), bar);
        }
    }
}

}  // namespace

TokenRank rank_of(float logit, TokenId token) {
    const std::int32_t key = key_of(logit + 0.0F);  // turns -0 into +0, so that both have the same rank
    return (std::uint64_t{static_cast<std::uint32_t>(key) ^ sign_bit} << 32) |
           ~static_cast<std::uint32_t>(token);
}

TokenId token_of(TokenRank rank) {
    return static_cast<TokenId>(~static_cast<std::uint32_t>(rank));
}

float logit_of(TokenRank rank) {
    return float_of(static_cast<std::int32_t>(static_cast<std::uint32_t>(rank >> 32) ^ sign_bit));
}

float largest_of(std::span<const float> logits) {
    std::int32_t greatest = key_of(logits[0]);
    for (const float logit : logits) greatest = std::max(greatest, key_of(logit));
    return float_of(greatest);
}

RowMaximum find_maximum(std::span<const float> logits) {
    constexpr std::size_t width = 256;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::int32_t least = key_of(logits[0]);
    std::int32_t greatest = least;
    std::size_t block_of_largest = 0;
    for (std::size_t begin = 0; begin < logits.size(); begin += width) {
        const float largest = float_of(greatest);
        for (const float logit : logits.subspan(begin, std::min(width, logits.size() - begin))) {
            least = std::min(least, key_of(logit));
            greatest = std::max(greatest, key_of(logit));
        }
        if (float_of(greatest) > largest) block_of_largest = begin;
    }
    const auto at = std::find(logits.begin() + static_cast<std::ptrdiff_t>(block_of_largest), logits.end(),
                              float_of(greatest));
    // Depending on its sign, the key of a NaN is greater than the key of +infinity or less than the key of
    // -infinity.
    return {.token = static_cast<TokenId>(at - logits.begin()),
            .finite = least > key_of(-infinity) && greatest < key_of(infinity)};
}

std::int32_t num_likelier(std::span<const float> logits, TokenId token) {
    const float own = logits[index_of(token)];
    std::int32_t count = 0;
    for (const float logit : logits.first(index_of(token))) count += logit >= own ? 1 : 0;
    for (const float logit : logits.subspan(index_of(token))) count += logit > own ? 1 : 0;
    return count;
}

double exp_sum(std::span<const float> logits, float largest, float temperature) {
    std::array<double, num_lanes> sums{};
    std::size_t i = 0;
    for (; i + num_lanes <= logits.size(); i += num_lanes) {
        for (std::size_t lane = 0; lane < num_lanes; ++lane) {
            sums[lane] += exp_approx((logits[i + lane] - largest) / temperature);
        }
    }
    for (; i < logits.size(); ++i) sums[0] += exp_approx((logits[i] - largest) / temperature);
    double sum = 0;
    for (const double lane : sums) sum += lane;
    return sum;
}

std::span<TokenRank> find_likeliest(std::span<const float> logits, std::size_t count,
                                    std::span<TokenRank> scratch) {
    // Tokens that reach the bar are collected in a buffer of 2 * count elements. When the buffer is full, its
    // less likely half is dropped, and the bar rises above the logit of the least likely token that is kept.
    // On average each token takes constant time.
    const std::size_t capacity = std::min(2 * count, logits.size());
    std::size_t size = 0;
    const auto keep_likeliest = [&] {
        const auto first = scratch.begin();
        std::nth_element(first, first + static_cast<std::ptrdiff_t>(count) - 1,
                         first + static_cast<std::ptrdiff_t>(size), std::greater{});
        size = count;
    };
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for_each_at_least(logits, std::numeric_limits<float>::lowest(),
                      [&](float logit, TokenId token, float bar) {
                          scratch[size++] = rank_of(logit, token);
                          if (size < capacity) return bar;
                          keep_likeliest();
                          return std::nextafter(logit_of(scratch[count - 1]), infinity);
                      });
    if (size > count) keep_likeliest();
    return scratch.first(size);
}

std::span<TokenRank> find_at_least(std::span<const float> logits, float bar, std::span<TokenRank> scratch) {
    std::size_t size = 0;
    for_each_at_least(logits, bar, [&](float logit, TokenId token, float) {
        scratch[size++] = rank_of(logit, token);
        return bar;
    });
    return scratch.first(size);
}

}  // namespace solard
