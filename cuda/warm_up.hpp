// The first steps of a backend, before the first request.
#pragma once

#include "inference/backend.hpp"

namespace solard::cuda {

// Runs a prompt and then one more token, with penalties and a block to copy, so that every kernel is on the
// device before the first request: the driver loads a kernel when it is first started. What this leaves in
// the KV cache never reaches a result.
void warm_up(Backend& backend, std::int32_t vocab_size);

}  // namespace solard::cuda
