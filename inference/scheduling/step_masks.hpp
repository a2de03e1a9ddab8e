// The masks of a step: which tokens the grammars of its sequences allow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/scheduling/sequence.hpp"

namespace solard {

// Writes the masks of the batch that fill_batch() made of `scheduled`, in the form of Backend::sample(). The
// row after a draft has the mask that it would have in a step of its own if the draft is confirmed. If a
// grammar allows no token there, or has a fault, sets the sequence's `dead_end`, and the mask has every
// token.
void fill_masks(std::span<Sequence* const> scheduled, std::vector<std::uint32_t>& masks);

}  // namespace solard
