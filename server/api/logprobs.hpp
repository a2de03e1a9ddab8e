// Log probabilities as OpenAI's APIs write them. `logprobs` holds for each token its own and then its
// `num_alternatives`; those are not read where there are no logprobs.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "inference/backend.hpp"
#include "inference/model/tokenizer.hpp"

namespace solard::server {

// [{"token","logprob","bytes","top_logprobs":[..]},..]; empty where there are none.
void append_logprob_list(std::string& out, const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                         std::int32_t num_alternatives);

// Chat's form: {"content":[...],"refusal":null}, or null where there are none.
void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives);

// The older form of completions:
// {"tokens":[..],"token_logprobs":[..],"top_logprobs":[{..}],"text_offset":[..]}, or null. Bytes that are no
// text stand as "bytes:\\xe2", so that two tokens rarely share a name; where they do, the likelier one is
// told. `text_offset` is that of the first token, in characters.
void append_completion_logprobs(std::string& out, const Tokenizer& tokenizer,
                                std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives,
                                std::size_t text_offset);

// Characters that the tokens of `logprobs` stand for; a character counts with its first byte.
std::size_t num_characters(const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                           std::int32_t num_alternatives);

}  // namespace solard::server
