// A model that counts, with weights made by hand. Its next token is right only if attention reads the
// sequence's own prompt.
//
// Token `owner * range + n` means the number n of that owner. The attention head looks for a token whose
// number follows the current token's number, and copies the owner of the token that it finds. The owner of
// the current token itself affects no logit. If the prompt holds all numbers of one owner, in any order, the
// model therefore counts without end within that owner's range. If the head reads the KV of another sequence,
// or finds no matching key, the model produces a token of another owner's range, or a token with a low
// probability.
#pragma once

#include <filesystem>

#include "inference/model/config.hpp"
#include "tests/support/model_folder.hpp"

namespace solard::counting {

inline constexpr std::int32_t num_owners = 64;
inline constexpr std::int32_t range = 32;
inline constexpr std::int32_t num_fillers = 16;  // tokens without a meaning, after all others
inline constexpr TokenId first_filler = num_owners * range;

// Every token's log probability is above this bound while attention reads only the sequence's own range. If
// attention finds a number five times with the right owner and once with a wrong owner, the log probability
// is already below the bound.
inline constexpr float sure_logprob = -0.03F;

const std::filesystem::path& write_model(const ModelFolder& folder);

}  // namespace solard::counting
