// The table which maps an errc to the HTTP status and to the type and code of OpenAI's error object.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

struct ErrorInfo {
    errc code;
    unsigned status;           // HTTP status
    std::string_view type;     // `type` of the error object
    std::string_view name;     // `code` of the error object
    bool retry_after;          // true: the answer says when to retry
    std::string_view message;  // used by default_error() and message_of()
};

// Returns the row of `code`. Every errc which a request can cause has a row. Any other errc is answered as
// server_error, because a client can do nothing about it.
const ErrorInfo& error_info(errc code);
// Returns an error with the message of error_info(code), for use if no more exact message is known.
Error default_error(errc code, std::string param = {});

// Returns the message of `error` or, if `error` has none, the message of error_info(error.code).
inline std::string_view message_of(const Error& error) {
    return error.message.empty() ? error_info(error.code).message : std::string_view(error.message);
}

// Returns a wait for a client when nobody knows when a retry will succeed: a random time in [1, 2) s, so that
// clients which were refused at the same time do not come back at the same time. I/O thread only.
std::chrono::milliseconds unknown_wait();
// Returns the time after which the client should retry: `error.retry_after` or, if it is 0, unknown_wait().
inline std::chrono::milliseconds retry_time(const Error& error) {
    return error.retry_after.count() > 0 ? error.retry_after : unknown_wait();
}

// Returns {"error":{"object":"error","message","type","param","code"}}. The client ChatNVIDIA reports an
// error inside a stream only if the member `object` is present.
std::string error_body(const Error& error);

// Appends the value of `param`: a string, or null if the error names no field.
void append_error_param(std::string& out, const Error& error);

}  // namespace solard::server
