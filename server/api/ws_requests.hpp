// Parses the messages of a client on a WebSocket of /v1/responses, without a socket. server/ws/PROTOCOL.md
// describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "server/api/responses.hpp"
#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_event_id = 64;  // characters

struct CreateMessage {
    result<ResponseRequest> request;         // an error in it is sent when the request would begin
    std::optional<std::string> parent = {};  // previous_response_id, even if `request` is an error
};
// Cancels the response `response_id` or, without an id, the active response of the lane. If `queued` is set,
// the message also cancels the requests which wait on the lane.
struct CancelMessage {
    std::optional<std::string> response_id;
    bool queued = false;
};
struct AttachMessage {
    std::string response_id;
    std::int64_t starting_after = -1;
};
struct DetachMessage {
    std::string response_id;
};
struct PingMessage {
    std::string t;  // JSON which the answer repeats
};
struct SteerMessage {};

struct ClientMessage {
    std::string lane;      // stream_id; empty: the default lane
    std::string event_id;  // empty: none
    // An Error means that the message is invalid and has no effect.
    std::variant<Error, CreateMessage, CancelMessage, AttachMessage, DetachMessage, PingMessage, SteerMessage>
        body;
};

// Errors in the body: invalid_json, unknown_event_type, invalid_stream_id, invalid_value.
ClientMessage parse_client_message(std::string_view text, UnknownFields unknown);

}  // namespace solard::server
