// Turns errors into HTTP answers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>

#include "server/config/error.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Returns the answer which the error table (server/api/error.hpp) prescribes.
HttpResponse error_response(const Error& error);

// Adds Retry-After, in whole seconds, and retry-after-ms.
void add_retry_time(HttpResponse& response, std::chrono::milliseconds wait);

// Sends the response or, if it is an error, the answer for this error. Throws system_error if the client is
// gone.
boost::asio::awaitable<void> respond(HttpExchange& exchange, result<HttpResponse> response);

}  // namespace solard::server
