// Parses the body of POST /v1/responses, without a socket.
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
    std::optional<std::string> instructions;  // a system message for this response only
    std::optional<std::string> previous_response_id;
    GenerationFields generation;
    bool store = true;
    bool generate = true;   // false: only the prompt is computed, so that another response can continue it
    bool truncate = false;  // drops the oldest messages if the prompt does not fit
    // The members of `solar`.
    bool resumable = false;       // goes on for a while after its last reader has left
    bool progress = false;        // solar:progress events, on a socket with the subprotocol
    double max_delta_hz = 0;      // deltas per second; 0: no limit
    std::string idempotency_key;  // empty: none
    // Fields which the response object repeats unchanged.
    boost::json::object metadata;
    std::optional<std::string> user;
};

// Errors are those of parse_chat_request(). `stream`, `background: false` and `stream_options` do not change
// what is generated.
result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown);
// Does the same for an object of which `fields` has already read or ignored the members that are not named
// here.
result<ResponseRequest> parse_response_request(const boost::json::object& object, FieldReader& fields,
                                               UnknownFields unknown);

}  // namespace solard::server
