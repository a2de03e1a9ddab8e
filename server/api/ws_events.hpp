// The events which the server sends on a WebSocket besides the events of a response. server/ws/PROTOCOL.md
// describes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

// Returns the event for an error. The members of the error stand both at the top level and inside `error`,
// because some SDKs read only the top level and others read only `error`. `lane` (the stream_id) and
// `event_id` may be empty.
std::string error_event(const Error& error, std::string_view lane, std::string_view event_id);
// Returns the event that answers every response.steer message, because the server does not support steering.
std::string steer_failed_event(std::string_view lane, std::string_view event_id);
// Returns the event that answers solar:ping. `t` is the JSON value which the event repeats. `now` is in
// milliseconds since 1970.
std::string pong_event(std::string_view t, std::int64_t now);

struct SessionFacts {
    std::string_view version;
    std::string_view model;
    std::int64_t context_length = 0;
    std::int64_t max_message_bytes = 0;
    std::int64_t max_in_flight = 0;
    std::int64_t max_lanes = 0;
    std::int64_t max_waiting = 0;
    double resume_seconds = 0;
};
// Returns the first event on a socket with the subprotocol solar.responses.v1.
std::string session_event(const SessionFacts& facts);

struct ProgressFacts {
    std::string_view phase;           // queued, prefill or decode
    std::int64_t queue_position = 0;  // 1 for the first request in the queue; 0 if the request does not wait
    std::int64_t queue_length = 0;
    std::int64_t prompt_tokens_done = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t output_tokens = 0;
    double tokens_per_second = 0;
    std::int64_t elapsed_ms = 0;
    bool operator==(const ProgressFacts&) const = default;
};
// Returns the members which only a solar:progress event has: `,"phase":..`.
std::string progress_fields(const ProgressFacts& facts);

}  // namespace solard::server
