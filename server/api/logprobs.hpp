// Log probabilities as OpenAI's chat API writes them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "inference/backend.hpp"
#include "inference/tokenizer.hpp"

namespace solard {

// Appends {"content":[...],"refusal":null}, or null where there are none. `logprobs` holds for each token its
// own and then its `num_alternatives`; those are not read where there are no logprobs.
void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives);

}  // namespace solard
