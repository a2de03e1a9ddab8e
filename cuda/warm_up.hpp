// The first steps of a backend, before anybody waits for it.
#pragma once

#include "inference/backend.hpp"

namespace solard::cuda {

// Runs a prompt and a token behind it, with penalties and a block to copy, so that every kernel is on the
// device before the first request: the driver loads one when it is first started. Nothing that this leaves in
// the KV cache reaches a result.
void warm_up(Backend& backend, std::int32_t vocab_size);

}  // namespace solard::cuda
