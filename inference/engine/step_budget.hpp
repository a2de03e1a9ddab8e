// How many tokens one step may compute, so that it stays short.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "inference/backend.hpp"

namespace solard {

inline constexpr std::chrono::milliseconds max_step_time{250};

// The time that one step of so many tokens takes.
using StepTimer = std::function<std::chrono::nanoseconds(std::int32_t num_tokens)>;

// The largest multiple of 16 in [16, max_tokens] whose step should take no more than max_step_time (16 even
// where that takes longer; max_tokens where that is below 16). Times growing chunks until one takes half of
// it.
std::int32_t choose_token_budget(std::int32_t max_tokens, const StepTimer& time_step);

// Times one chunk at the end of the longest sequence, where attention costs most, and one sampled row.
// num_tokens <= max_model_len. Overwrites KV blocks: only for a backend that serves nobody yet.
std::chrono::nanoseconds time_chunk(Backend& backend, std::int32_t num_tokens);

}  // namespace solard
