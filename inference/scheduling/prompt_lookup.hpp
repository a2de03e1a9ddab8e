// Drafts without a draft model: an answer that repeats itself or its prompt is guessed from what followed the
// same words before. Source: Saxena, "Prompt Lookup Decoding", 2023.
#pragma once

#include <cstddef>
#include <span>

#include "inference/model/config.hpp"

namespace solard {

// The up to `most` tokens that followed the most recent earlier occurrence of the last three of `tokens`;
// empty if there is none. A view into `tokens`.
std::span<const TokenId> find_draft(std::span<const TokenId> tokens, std::size_t most);

}  // namespace solard
