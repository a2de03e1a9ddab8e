// The number of a token in the model's vocabulary.
#pragma once

#include <cstdint>

namespace solard {

using TokenId = std::int32_t;

}  // namespace solard
