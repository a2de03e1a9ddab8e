// What a client says on the socket of /v1/responses (server/ws/PROTOCOL.md), without a socket.
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

inline constexpr std::ptrdiff_t max_event_id = 64;  // characters

struct CreateMessage {
    result<ResponseRequest> request;         // an error is told when it is this request's turn on its lane
    std::optional<std::string> parent = {};  // previous_response_id, also of one in error
};
// One of both, or neither for the active response of the lane.
struct CancelMessage {
    std::optional<std::string> response_id;
    bool queued = false;  // and all that waits on the lane
};
struct AttachMessage {
    std::string response_id;
    std::int64_t starting_after = -1;
};
struct DetachMessage {
    std::string response_id;
};
struct PingMessage {
    std::string t;  // JSON of what the client wants back
};
struct SteerMessage {};

struct ClientMessage {
    std::string lane;      // stream_id; empty: the default lane
    std::string event_id;  // empty: none
    // An Error is a slip: the message cannot be acted on.
    std::variant<Error, CreateMessage, CancelMessage, AttachMessage, DetachMessage, PingMessage, SteerMessage>
        body;
};

// Slips: invalid_json, unknown_event_type, invalid_stream_id, invalid_value.
ClientMessage parse_client_message(std::string_view text, UnknownFields unknown);

}  // namespace solard::server
