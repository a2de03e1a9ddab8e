// Writes log probabilities as OpenAI's APIs do, and those of a prompt also as vLLM does. For each token,
// `logprobs` holds the entry of the token itself and then `num_alternatives` entries of its alternatives. If
// `logprobs` is empty, `num_alternatives` is not read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "inference/sampling_row.hpp"
#include "server/api/document.hpp"
#include "server/api/log_delta.hpp"
#include "server/api/token_texts.hpp"

namespace solard::server {

using TokenLogprobs = std::span<const TokenLogprob>;
using RankedLogprobs = std::span<const RankedLogprob>;

// Appends [{"token","logprob","bytes","top_logprobs":[..]},..], or [] if there are no logprobs. `token` is
// the token's name, and `bytes` is what it adds to the text. `Out` is std::string or Document, here and
// below.
template <class Out>
void append_logprob_list(Out& out, const TokenTexts& texts, const TokenLogprobs& logprobs,
                         std::int32_t num_alternatives);

// Appends logprobs in the form of chat completions: {"content":[...],"refusal":null}, or null if there are no
// logprobs.
template <class Out>
void append_chat_logprobs(Out& out, const TokenTexts& texts, const TokenLogprobs& logprobs,
                          std::int32_t num_alternatives);

// Says what append_completion_logprobs() writes besides the tokens of the answer, and where the text begins.
struct CompletionLogprobsForm {
    // Number of alternatives to write for each token, and number of those which the delta has for each token
    // of the answer.
    std::int32_t num_alternatives = 0;
    // Number of alternatives which the delta has for each token of the prompt; -1: the prompt is not written.
    std::int32_t num_prompt_alternatives = -1;
    // The first token of the prompt, if the delta begins with it. It has no log probability.
    std::optional<TokenId> first_token = std::nullopt;
    std::size_t first_token_characters = 0;  // number of its characters in the text
    // Number of characters in the prompt's tokens before this delta.
    std::size_t prompt_offset = 0;
    std::size_t dropped_space = no_dropped_space;
    bool skip_special_in_prompt = true;  // true: the special tokens after the first are not in the text
    // Number of characters of the text before the delta's tokens of the answer.
    std::size_t answer_offset = 0;
};

// Appends logprobs in the older form of completions:
// {"tokens":[..],"token_logprobs":[..],"top_logprobs":[{..}],"text_offset":[..]}, or null if there are no
// tokens to write. A token whose bytes are not valid UTF-8 is named by its bytes, such as "bytes:\\xe2", so
// that two tokens rarely have the same name. If two alternatives have the same name, only the more likely
// alternative is written.
template <class Out>
void append_completion_logprobs(Out& out, const TokenTexts& texts, const LogDelta& delta,
                                const CompletionLogprobsForm& form);

// Appends the log probabilities of a prompt in the form of vLLM: [null,{"ID":{"logprob":..,"rank":..,
// "decoded_token":..},..},..]. The first token has none. Writes `num_shown` of the `num_alternatives` of each
// token.
template <class Out>
void append_prompt_logprobs(Out& out, const Tokenizer& tokenizer, const RankedLogprobs& logprobs,
                            std::int32_t num_alternatives, std::int32_t num_shown);

// Returns the number of characters in the tokens of `logprobs`. A character which is spread over several
// tokens belongs to the token in which it begins. `Entry` is TokenLogprob or RankedLogprob.
template <class Entry>
std::size_t num_characters(const TokenTexts& texts, std::span<const Entry> logprobs,
                           std::int32_t num_alternatives);

}  // namespace solard::server
