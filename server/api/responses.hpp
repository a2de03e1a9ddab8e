// POST /v1/responses without a socket: the body as a struct.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "server/api/fields.hpp"
#include "server/api/generation_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct ResponseRequest {
    std::vector<ChatMessage> input;           // not empty
    std::optional<std::string> instructions;  // a system text of this response only
    std::optional<std::string> previous_response_id;
    GenerationFields generation;
    bool store = true;
    bool generate = true;   // false: only its prompt is computed, for who continues it
    bool truncate = false;  // drops the oldest messages where they do not fit
    // The members of `solar`.
    bool resumable = false;       // goes on for a while when its reader is gone
    bool progress = false;        // solar:progress events, on a socket that knows them
    double max_delta_hz = 0;      // 0: as they come
    std::string idempotency_key;  // empty: none
    // Fields that the response object repeats as they came.
    boost::json::object metadata;
    std::optional<std::string> user;
};

// Errors as parse_chat_request(). `stream`, `background: false` and `stream_options` change nothing about
// what is generated.
result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown);
// The same of an object whose other members `fields` has read.
result<ResponseRequest> parse_response_request(const boost::json::object& object, FieldReader& fields,
                                               UnknownFields unknown);

}  // namespace solard::server
