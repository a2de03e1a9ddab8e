// A short test of the model on the device, before the server accepts requests.
#pragma once

#include "inference/backend.hpp"

namespace solard {

// Generates eight greedy tokens from `prompt`, twice. Must be called before any sequence exists: the test
// uses the KV memory of the first block, whose contents do not matter then. Throws ErrorException (bad_model)
// if a logit is not finite, which means that the model is damaged or does not fit its type, or if the two
// runs differ, which means that the device computes wrongly.
void self_test(Backend& backend, TokenId prompt);

}  // namespace solard
