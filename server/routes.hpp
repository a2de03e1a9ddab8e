// Which handler answers which verb and path.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <string_view>

namespace solard {

class App;
class HttpExchange;

using Handler = boost::asio::awaitable<void> (*)(App& app, HttpExchange& exchange);

struct Route {
    std::string_view method;
    std::string_view path;  // ends in '*' when the rest is a parameter
    Handler handler;
};

std::span<const Route> routes();

// Finds the route and runs its handler; what goes wrong becomes an error answer, and what nobody expected a
// 500 and a log line. Throws system_error only when the client is gone.
boost::asio::awaitable<void> dispatch(App& app, HttpExchange& exchange);

}  // namespace solard
