// Compares log-probabilities bit by bit.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "inference/sampling_row.hpp"

namespace solard {

inline bool same_bits(const TokenLogprob& a, const TokenLogprob& b) {
    return a.token == b.token &&
           std::bit_cast<std::uint32_t>(a.logprob) == std::bit_cast<std::uint32_t>(b.logprob);
}
inline bool same_bits(const RankedLogprob& a, const RankedLogprob& b) {
    return a.rank == b.rank && same_bits(TokenLogprob{a.token, a.logprob}, TokenLogprob{b.token, b.logprob});
}
inline bool same_bits(std::span<const RankedLogprob> a, std::span<const RankedLogprob> b) {
    return std::ranges::equal(
        a, b, [](const RankedLogprob& left, const RankedLogprob& right) { return same_bits(left, right); });
}

}  // namespace solard
