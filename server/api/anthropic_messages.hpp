// Parses the bodies of POST /v1/messages and /v1/messages/count_tokens (Anthropic's Messages API,
// https://docs.anthropic.com/en/api/messages), without a socket.
#pragma once

#include <string_view>

#include "server/api/generation_fields.hpp"
#include "server/api/message_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct MessagesRequest {
    ChatPrompt prompt;
    GenerationFields generation;
};

// An assistant's message at the end is continued. Thinking in the history is left out, and a request for
// thinking is accepted, because the model does not think. Errors: those of parse_chat_request().
result<MessagesRequest> parse_messages_request(std::string_view body, UnknownFields unknown);
// Parses a request that only counts its tokens, which has no `max_tokens`.
result<MessagesRequest> parse_count_request(std::string_view body, UnknownFields unknown);

}  // namespace solard::server
