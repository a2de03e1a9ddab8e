// A model that counts, with weights made by hand: what it says next is right only if attention reads the
// asker's own prompt.
//
// Token `owner * range + n` means the number n of that owner. One attention head asks for the keys of the
// number that follows the current token's, and copies the owner found there; the current token's own owner
// reaches no logit. So a sequence that was shown all numbers of one owner, in any order, counts on and on
// within that owner's range, and as soon as the head reads somebody else's KV, or finds none, it says a token
// of somebody else's range or is unsure.
#pragma once

#include <filesystem>

#include "inference/model/config.hpp"
#include "tests/support/model_folder.hpp"

namespace solard::counting {

inline constexpr std::int32_t num_owners = 64;
inline constexpr std::int32_t range = 32;
inline constexpr std::int32_t num_fillers = 16;  // tokens that mean nothing, after all others
inline constexpr TokenId first_filler = num_owners * range;

// Of every token, while attention reads nothing but the own range. One foreign copy of a number beside five
// own ones is enough to fall below.
inline constexpr float sure_logprob = -0.03F;

const std::filesystem::path& write_model(const ModelFolder& folder);

}  // namespace solard::counting
