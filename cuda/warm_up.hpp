// The first steps of a backend, before the first request.
#pragma once

#include "inference/backend.hpp"

namespace solard::cuda {

// Runs one step for a prompt and one step for a single token, both with penalties. The first step also copies
// a block. The driver loads a kernel when the kernel is first launched, so these steps load every kernel
// before the first request. The KV that these steps write to the cache never affects a result.
void warm_up(Backend& backend, std::int32_t vocab_size);

}  // namespace solard::cuda
