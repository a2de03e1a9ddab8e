// How the next token is chosen from the logits of one sequence.
#pragma once

#include <cstdint>

namespace solard {

struct SamplingParams {
    float temperature = 1.0F;  // [0, 2]; 0 = greedy
    float top_p = 1.0F;        // (0, 1]
    std::uint64_t seed = 0;    // drawn by the server where the client named none
    std::uint32_t choice = 0;  // index of this choice among the request's n
};

}  // namespace solard
