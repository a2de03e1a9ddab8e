// Computes the expected answer to a request in the simplest way, as if there were no other requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inference/model/tokenizer.hpp"
#include "inference/request.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard {

struct Expected {
    std::vector<RankedLogprob> prompt_logprobs;  // up to the first row that is not finite
    std::vector<TokenId> tokens;
    std::string text;
    FinishReason finish = FinishReason::length;
    std::int32_t matched_stop = -1;
    TokenId matched_stop_token = -1;
};

// Returns the answer of one choice. The computation uses no batches, blocks, cache or drafts.
Expected expected_output(const Request& request, std::uint32_t choice, const FakeOptions& model,
                         const Tokenizer& tokenizer, const std::vector<TokenId>& eos_token_ids);

}  // namespace solard
