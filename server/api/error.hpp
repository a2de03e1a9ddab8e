// The one table errc -> HTTP status, OpenAI type and code; and the error object every protocol carries.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

struct ErrorInfo {
    errc code;
    unsigned status;           // HTTP
    std::string_view type;     // OpenAI's class of error
    std::string_view name;     // `code` of the error object
    bool retry_after;          // the answer says when to come back
    std::string_view message;  // where the place of failure knew nothing better
};

// Architecture.md section 9. Every errc that a request can meet has a row; others are server_error.
const ErrorInfo& error_info(errc code);
inline std::string_view message_of(errc code) {
    return error_info(code).message;
}

// When to come back, of an error whose answer says so: as it knows, or in a second.
inline std::chrono::milliseconds retry_time(const Error& error) {
    return error.retry_after.count() > 0 ? error.retry_after : std::chrono::seconds(1);
}

// {"error":{"object":"error","message","type","param","code"}}. `object` is there for ChatNVIDIA, which
// raises an error inside a stream only when it reads it.
std::string error_body(const Error& error);

}  // namespace solard::server
