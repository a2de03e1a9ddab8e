#include "inference/prompt_lookup.hpp"

#include <algorithm>

namespace solard {

std::span<const TokenId> find_draft(std::span<const TokenId> tokens, std::size_t most) {
    constexpr std::size_t key_size = 3;
    if (tokens.size() <= key_size) return {};
    const TokenId* const key = tokens.data() + tokens.size() - key_size;
    for (const TokenId* at = key; at-- != tokens.data();) {
        if (!std::equal(key, key + key_size, at)) continue;
        const auto follows = static_cast<std::size_t>(at - tokens.data()) + key_size;
        return tokens.subspan(follows, std::min(most, tokens.size() - follows));
    }
    return {};
}

}  // namespace solard
