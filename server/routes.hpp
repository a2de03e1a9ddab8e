// From verb and path to a handler.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/auth/access.hpp"

namespace solard::server {

class App;
class HttpExchange;
struct HttpRequest;

// What the route asks of its callers; a key where there is no route.
Access access_of(const HttpRequest& head);

// Finds the route and runs its handler; what goes wrong becomes an error answer, and what nobody expected a
// 500 and a log line. Throws system_error only when the client is gone.
boost::asio::awaitable<void> dispatch(App& app, HttpExchange& exchange);

}  // namespace solard::server
