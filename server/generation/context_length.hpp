// Chooses how many tokens of context are served.
#pragma once

#include <cstdint>

#include "inference/model/config.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// Returns the context length in tokens. `max_model_len` is the value of --max-model-len; 0: the context that
// the model was trained for. Errors: bad_configuration, with a message that says the largest possible value,
// if the model has a shorter context, or if it was trained with a sliding window or dynamic RoPE scaling,
// which are computed only as long as they change nothing.
result<std::int32_t> choose_context_length(std::int64_t max_model_len, const ModelConfig& config);

}  // namespace solard::server
