// Expected failures: one errc, one Error that carries it, one result<T>.
//
// The unexpected is an exception. `server/api/error` holds the one table errc -> HTTP status, type, code.
#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace solard {

enum class errc {
    // A request that cannot be served as it stands (HTTP 4xx).
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
    // A request that the server cannot serve, now or at all (HTTP 5xx).
    server_error,
    numerical_error,
    server_overloaded,
    server_starting,
    server_draining,
    queue_timeout,
    engine_unavailable,
    // Start-up; each is an exit code of the process.
    runtime_failure,     // 1: also port in use
    bad_command_line,    // 2
    bad_model,           // 66
    device_unavailable,  // 69
    bad_configuration,   // 78
};

struct Error {
    errc code;
    std::string message;     // one sentence for the person who can mend it
    std::string param = {};  // the request field at fault; empty if none
    // When it is worth trying again, where that is known; 0 = not known.
    std::chrono::milliseconds retry_after{0};
};

template <class T = void>
using result = boost::system::result<T, Error>;

// What result<T>::value() throws on an Error; the one boundary above turns it back.
struct ErrorException : std::runtime_error {
    explicit ErrorException(Error e) : std::runtime_error(e.message), error(std::move(e)) {}
    Error error;
};
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace solard
