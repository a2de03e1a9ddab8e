// Expected failures of the server: one errc, one Error which carries it, one result<T>.
//
// An unexpected failure is an exception. server/api/error.hpp has the one table errc -> HTTP status, type,
// code.
#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <string>

#include "inference/error.hpp"

namespace solard::server {

enum class errc {
    // The request cannot be served as it stands (HTTP 4xx).
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
    // The server cannot serve the request, now or at all (HTTP 5xx).
    server_error,
    numerical_error,
    server_overloaded,
    server_starting,
    server_draining,
    queue_timeout,
    engine_unavailable,
    // Start-up failures. Each one is an exit code of the process, see exit_code().
    runtime_failure,
    bad_command_line,
    bad_model,
    device_unavailable,
    bad_configuration,
};

struct Error {
    errc code;
    std::string message;     // one sentence for the person who can mend it
    std::string param = {};  // the request field at fault; empty if there is none
    // The time after which a retry makes sense; 0 if it is not known.
    std::chrono::milliseconds retry_after{0};
};

template <class T = void>
using result = boost::system::result<T, Error>;

// Makes result<T>::value() throw std::runtime_error with the message.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

// The only place where a failure of inference/ becomes one of the server.
errc to_server_errc(solard::errc code);
Error to_server_error(const solard::Error& error);

// The exit code of the process after a start-up or engine failure: 2 command line, 66 model, 69 device, 78
// configuration, 1 everything else (a port in use, for example).
int exit_code(errc code);

}  // namespace solard::server
