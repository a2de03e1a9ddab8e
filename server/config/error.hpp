// The expected failures of the server: errc, Error and result<T>. An unexpected failure is an exception.
//
// The table of server/api/error.hpp maps an errc to the HTTP status, type and code.
#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <string>

#include "inference/error.hpp"

namespace solard::server {

enum class errc {
    // The client has to change the request or send it later (HTTP 4xx).
    invalid_json,
    invalid_value,
    unsupported_parameter,
    unsupported_input,
    context_length_exceeded,
    invalid_stream_id,
    invalid_store_transition,
    invalid_api_key,
    origin_not_allowed,
    host_not_allowed,
    not_found,
    model_not_found,
    response_not_found,
    previous_response_not_found,
    method_not_allowed,
    response_expired,
    payload_too_large,
    unsupported_media_type,
    headers_too_large,
    lane_busy,
    response_already_completed,
    upgrade_required,
    unknown_event_type,
    websocket_stream_limit_reached,
    websocket_connection_limit_reached,
    steering_not_supported,
    rate_limit_exceeded,
    websocket_queue_full,
    request_cancelled,
    // The server cannot handle the request now, or failed to do so (HTTP 5xx).
    server_error,
    numerical_error,
    grammar_dead_end,
    server_overloaded,
    server_starting,
    server_draining,
    queue_timeout,
    engine_unavailable,
    // Failures at start-up. exit_code() maps them to exit codes of the process.
    runtime_failure,
    bad_command_line,
    bad_model,
    device_unavailable,
    bad_configuration,
};

struct Error {
    errc code;
    std::string message;     // for the person who can solve the problem; empty: the default message of `code`
    std::string param = {};  // the wrong field of the request; may be empty
    // The time after which the client should retry. 0 means that the time is not known.
    std::chrono::milliseconds retry_after{0};
};

template <class T = void>
using result = boost::system::result<T, Error>;

// Called by result<T>::value(). Throws std::runtime_error with the message of the error.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

// Both functions convert a failure of inference/. No other code converts such failures.
errc to_server_errc(solard::errc code);
Error to_server_error(const solard::Error& error);

// Returns the exit code of the process after a failure of the start-up or of the engine: 2 for the command
// line, 66 for the model, 69 for the device, 78 for the configuration, 1 for anything else (such as a port
// which is in use).
int exit_code(errc code);

// The exit code of the process if a second signal has ended the process before its answers were complete. The
// value is EX_TEMPFAIL of sysexits.h.
inline constexpr int exit_code_of_second_signal = 75;

}  // namespace solard::server
