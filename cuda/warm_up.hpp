// The first steps of a backend, before anybody waits for it.
#pragma once

#include "inference/backend.hpp"

namespace solard::cuda {

// Runs a prompt and a token behind it, with what a row can ask of the sampler, so that every kernel is on the
// device before the first request: the driver loads one when it is first started. Leaves nothing in the KV
// cache that is ever read.
void warm_up(Backend& backend, std::int32_t vocab_size);

}  // namespace solard::cuda
