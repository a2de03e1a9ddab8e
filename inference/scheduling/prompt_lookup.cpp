#include "inference/scheduling/prompt_lookup.hpp"

#include <algorithm>

namespace solard {

std::span<const TokenId> find_draft(std::span<const TokenId> tokens, std::size_t max_tokens) {
    constexpr std::size_t key_size = 3;
    if (tokens.size() <= key_size) return {};
    const auto key = tokens.last<key_size>();
    for (std::size_t at = tokens.size() - key_size; at-- > 0;) {
        if (!std::ranges::equal(key, tokens.subspan(at, key_size))) continue;
        const std::size_t follows = at + key_size;
        return tokens.subspan(follows, std::min(max_tokens, tokens.size() - follows));
    }
    return {};
}

}  // namespace solard
