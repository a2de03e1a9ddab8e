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
    bool resumable = false;       // the response continues for a while after its last reader has left
    bool progress = false;        // sends solar:progress events on a socket with the subprotocol
    double max_delta_hz = 0;      // most deltas per second; 0: no limit
    std::string idempotency_key;  // empty: none
    // Fields which the response object repeats unchanged.
    boost::json::object metadata;
    std::optional<std::string> user;
};

// Errors are those of parse_chat_request(). `stream`, `stream_options` and `background: false` are accepted
// and do not change the generated text.
result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown);
// Does the same for `object`, which `fields` reads. If `object` has members besides those of a POST body, the
// caller has already used `fields` to read or ignore them.
result<ResponseRequest> parse_response_request(const boost::json::object& object, FieldReader& fields,
                                               UnknownFields unknown);

}  // namespace solard::server
