// Drafts without a draft model. If an answer repeats itself or its prompt, its next tokens are probably the
// tokens that followed the same tokens before. Source: Saxena, "Prompt Lookup Decoding", 2023.
#pragma once

#include <cstddef>
#include <span>

#include "inference/token_id.hpp"

namespace solard {

// Finds the most recent earlier occurrence of the last three of `tokens`. Returns up to `max_tokens` tokens
// that follow it, as a view into `tokens`. The view is empty if there is no such occurrence.
std::span<const TokenId> find_draft(std::span<const TokenId> tokens, std::size_t max_tokens);

}  // namespace solard
