// POST /v1/responses without a socket: the body as a struct.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/chat_template.hpp"
#include "inference/error.hpp"
#include "server/api/generation_fields.hpp"

namespace solard {

struct ResponseRequest {
    std::vector<ChatMessage> input;           // not empty
    std::optional<std::string> instructions;  // a system text of this response only
    std::optional<std::string> previous_response_id;
    GenerationFields generation;
    bool store = true;
    bool resumable = false;  // solar.resumable: goes on for a while when its reader is gone
    // Fields that the response object repeats as they came.
    boost::json::object metadata;
    std::optional<std::string> user;
};

// Errors as parse_chat_request(). `stream`, `background: false` and `stream_options` change nothing about
// what is generated.
result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown);

}  // namespace solard
