// The first steps of a backend, before the first request.
#pragma once

#include "inference/backend.hpp"

namespace solard::cuda {

// Runs one step for a prompt and one for a single token, with penalties and a block to copy. The driver loads
// a kernel when it is first started, so this loads every kernel before the first request. The KV that these
// steps leave in the cache never affects a result.
void warm_up(Backend& backend, std::int32_t vocab_size);

}  // namespace solard::cuda
