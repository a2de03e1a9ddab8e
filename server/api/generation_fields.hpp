// The fields which chat completions, completions and responses have in common: the model, the length, the
// sampling and the form of the answer.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "inference/model/tokenizer.hpp"
#include "server/api/fields.hpp"
#include "server/api/grammar_fields.hpp"
#include "server/api/peer_fields.hpp"
#include "server/api/sampling_fields.hpp"
#include "server/api/tool_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct GenerationFields {
    std::string model;  // empty: the model which is served
    // The upper bound for the tokens of one choice. A bound that is larger than the room which the prompt
    // leaves in the context has no effect. Absent: the whole room.
    std::optional<std::int32_t> max_tokens;
    SamplingFields sampling;
    std::optional<AnswerGrammar> grammar;  // what the answer's text may be; absent: any text
    std::optional<Tools> tools;            // what the answer may call; absent: nothing
    bool stream = false;
    bool include_usage = false;     // true: a separate chunk at the end has the usage
    bool continuous_usage = false;  // true: every chunk has the usage so far
    bool return_token_ids = false;
    // Number of alternatives of each token of the prompt, for the engine; -1: no log probabilities of the
    // prompt. If both `prompt_logprobs` and `echo` ask for them, this is the larger number.
    std::int32_t num_prompt_logprobs = -1;
    std::int32_t prompt_logprobs = -1;     // the value of the field prompt_logprobs; -1: absent
    bool repeats_prompt_logprobs = false;  // true: each choice of the answer has those of its prompt
    // The salt that the request sets. The server combines it with the caller's salt (Gate::cache_salt()), or
    // uses only the caller's salt if the request sets none. Prompts share cached KV blocks only if their
    // resulting salts are equal.
    std::string cache_salt;
};

// Parses the whole body, which must be one JSON object. Errors: invalid_json.
result<boost::json::object> parse_body(std::string_view body);

// Reads all fields of GenerationFields except the logprobs and max_tokens. A problem is recorded in `fields`.
GenerationFields parse_generation_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown);

// Whether max_tokens may be 0. It may if the answer shows the prompt or its log-probabilities.
enum class ZeroTokens : std::uint8_t { refused, allowed };

// Reads GenerationFields::max_tokens: the smallest value of the named fields. min_tokens must not exceed any
// of the values. If no field has a value, returns `absent`, which says nothing about min_tokens.
std::optional<std::int32_t> parse_max_tokens(FieldReader& fields,
                                             std::initializer_list<std::string_view> names,
                                             const SamplingFields& sampling,
                                             std::optional<std::int32_t> absent = std::nullopt,
                                             ZeroTokens zero = ZeroTokens::refused);

// Reads GenerationFields::prompt_logprobs, which a stream must not have, because vLLM's chunks have no place
// for it.
std::int32_t parse_prompt_logprobs(FieldReader& fields, bool stream);

// Reads `add_special_tokens` and `parse_special`, with which a text prompt is encoded. Both are true if
// absent, as in transformers.
EncodeOptions parse_encode_options(FieldReader& fields);

// Returns an empty text if the field is absent.
std::string parse_cache_salt(FieldReader& fields);

}  // namespace solard::server
