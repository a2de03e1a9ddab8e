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
    bool include_usage = false;     // in a separate chunk at the end
    bool continuous_usage = false;  // in every chunk
    bool return_token_ids = false;
    // Prompts share cached KV blocks only if their salts are equal. An empty salt stands for the principal's
    // own.
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
