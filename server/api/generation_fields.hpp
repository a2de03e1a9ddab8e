// The fields which chat completions, completions and responses have in common: the model, the length, the
// sampling and the form of the answer.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/fields.hpp"
#include "server/api/sampling_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// What happens to a field which the parser of the request does not know.
enum class UnknownFields : std::uint8_t { ignored, refused };

struct GenerationFields {
    std::string model;  // empty: the model which is served
    std::optional<std::int32_t> max_tokens;
    SamplingFields sampling;
    bool stream = false;
    bool include_usage = false;     // true: a separate chunk at the end has the usage
    bool continuous_usage = false;  // true: every chunk has the usage so far
    bool return_token_ids = false;
    // The salt that the request sets. The server combines it with the caller's salt (Gate::cache_salt()), or
    // uses only the caller's salt if the request sets none. Prompts share cached KV blocks only if their
    // resulting salts are equal.
    std::string cache_salt;
};

// Parses the whole body, which must be one JSON object. Errors: invalid_json.
result<boost::json::object> parse_body(std::string_view body);

// Reads all fields of GenerationFields except the logprobs, and marks the fields which are accepted without
// effect (`user`, `metadata` ...). A problem is recorded in `fields`.
GenerationFields parse_generation_fields(FieldReader& fields, UnknownFields unknown);

// Refuses unsupported fields which would change the meaning of an answer. Also refuses unknown fields if
// `unknown` says so. Every parser calls this function last, after it has read all fields which it knows.
// Returns the first problem of the whole body.
std::optional<Error> check_rest(FieldReader& fields, UnknownFields unknown);

}  // namespace solard::server
