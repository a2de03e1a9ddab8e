// Writes log probabilities as OpenAI's APIs do. For each token, `logprobs` holds the entry of the token
// itself and then `num_alternatives` entries of its alternatives. If `logprobs` is empty, `num_alternatives`
// is not read.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "inference/model/tokenizer.hpp"
#include "inference/sampling_row.hpp"
#include "server/api/document.hpp"

namespace solard::server {

using TokenLogprobs = std::span<const TokenLogprob>;

// Appends [{"token","logprob","bytes","top_logprobs":[..]},..], or [] if there are no logprobs. `Out` is
// std::string or Document, here and below.
template <class Out>
void append_logprob_list(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                         std::int32_t num_alternatives);

// Appends logprobs in the form of chat completions: {"content":[...],"refusal":null}, or null if there are no
// logprobs.
template <class Out>
void append_chat_logprobs(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                          std::int32_t num_alternatives);

// Appends logprobs in the older form of completions:
// {"tokens":[..],"token_logprobs":[..],"top_logprobs":[{..}],"text_offset":[..]}, or null if there are no
// logprobs. A token whose bytes are not valid UTF-8 is named by its bytes, such as "bytes:\\xe2", so that two
// tokens rarely have the same name. If two alternatives have the same name, only the more likely alternative
// is written. `text_offset` is the offset of the first token in characters.
template <class Out>
void append_completion_logprobs(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                                std::int32_t num_alternatives, std::size_t text_offset);

// Returns the number of characters in the tokens of `logprobs`. A character which is spread over several
// tokens belongs to the token in which it begins.
std::size_t num_characters(const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                           std::int32_t num_alternatives);

}  // namespace solard::server
