// What chat completions and completions ask for alike: model, length, sampling, form of the answer.
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

// What becomes of a field that no API of ours knows.
enum class UnknownFields : std::uint8_t { ignored, refused };

struct GenerationFields {
    std::string model;  // empty: the one that is served
    std::optional<std::int32_t> max_tokens;
    SamplingFields sampling;
    bool stream = false;
    bool include_usage = false;     // in a chunk of its own at the end
    bool continuous_usage = false;  // in every chunk
    bool return_token_ids = false;
    std::string cache_salt;  // prompts share KV only under an equal one; empty: the principal's own
};

// The body's one object. Errors: invalid_json.
result<boost::json::object> parse_body(std::string_view body);

// Reads all of them but the logprobs, and names what is accepted without effect (`user`, `metadata` ...). A
// problem is left in `fields`.
GenerationFields parse_generation_fields(FieldReader& fields, UnknownFields unknown);

// Refuses what would change the meaning of an answer and is not served, and `unknown` fields if asked to. The
// last step of every parser, when all fields it knows were read. Gives the first problem of all.
std::optional<Error> check_rest(FieldReader& fields, UnknownFields unknown);

}  // namespace solard::server
