// The step budget: how many tokens one step may compute, so that the step stays short.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "inference/backend.hpp"

namespace solard {

inline constexpr std::chrono::milliseconds max_step_time{250};

// Measures the time that a step of `num_tokens` tokens takes.
using StepTimer = std::function<std::chrono::nanoseconds(std::int32_t num_tokens)>;

// Returns the largest multiple of 16 in [16, max_tokens] for which a step of that many tokens is expected to
// take at most max_step_time. Returns 16 even if a step of 16 tokens takes longer, and returns max_tokens if
// max_tokens is below 16. To find the value, measures growing chunks until one chunk takes half of
// max_step_time.
std::int32_t choose_step_budget(std::int32_t max_tokens, const StepTimer& time_step);

// Returns the time of a step with one chunk at the end of the longest sequence, where attention costs most.
// The step samples one row. num_tokens must be <= max_model_len. Overwrites KV blocks, so this must be called
// before the first request runs on the backend.
std::chrono::nanoseconds time_chunk(Backend& backend, std::int32_t num_tokens);

}  // namespace solard
