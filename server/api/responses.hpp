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
    std::vector<ChatMessage> input;  // is empty only if there is a previous response
    PromptEnd end = PromptEnd::assistant_turn;
    boost::json::object template_kwargs;      // variables for the chat template
    std::optional<std::string> instructions;  // a system message for this response only
    std::optional<std::string> previous_response_id;
    GenerationFields generation;
    bool store = true;
    bool generate = true;   // false: computes only the prompt, which a later response can continue
    bool truncate = false;  // true: the oldest messages are dropped if the prompt is too long
    // The members of the field `solar`.
    bool resumable = false;       // true: the response continues for a while without a reader
    bool progress = false;        // true: a solar.responses.v1 socket gets solar:progress events
    double max_delta_hz = 0;      // maximum number of deltas per second; 0: no limit
    std::string idempotency_key;  // empty: no key
    // Fields which the response object repeats unchanged.
    ShownTools shown_tools;
    boost::json::object metadata;
    std::optional<std::string> user;
};

// Has the same errors as parse_chat_request(). `stream`, `stream_options` and `background: false` are
// accepted and do not change the generated text.
result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown);
// Parses `object` in the same way. `fields` must be a reader of `object`. If `object` can have members that
// the body of a POST cannot have, the caller must first read or ignore these members with `fields`.
result<ResponseRequest> parse_response_request(const boost::json::object& object, FieldReader& fields,
                                               UnknownFields unknown);

}  // namespace solard::server
