// Maps the verb and path of a request to its handler.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/app.hpp"
#include "server/auth/access.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

enum class Transport : std::uint8_t { http, websocket };
// What happens to a request if the server has reached its connection limit.
enum class AtLimit : std::uint8_t { refused, answered };

struct Route {
    std::string_view method;
    std::string_view path;  // '*' stands for a parameter
    // Answers a request. On a WebSocket route, the handler answers only requests that do not ask for an
    // upgrade.
    boost::asio::awaitable<void> (*handler)(App& app, HttpExchange& exchange);
    Access access = Access::api_key;
    Transport transport = Transport::http;
    AtLimit at_limit = AtLimit::refused;
};

struct RouteMatch {
    const Route* route = nullptr;     // null if no route has this path and verb
    std::string allowed = {};         // without a route: the path's verbs; empty if the path is unknown
    Access access = Access::api_key;  // the access that the request needs; is set even without a route
};

// Finds the route by the header alone, before the body is read.
RouteMatch find_route(const HttpRequest& head);

// Returns the WebSocket fields of the header if the request asks to open a WebSocket and its route has the
// transport `websocket`; null otherwise. The result is valid as long as `head` does not change.
inline const WebSocketFields* upgrade_fields(const RouteMatch& match, const HttpRequest& head) {
    const bool is_socket = match.route != nullptr && match.route->transport == Transport::websocket;
    return is_socket && head.websocket ? &*head.websocket : nullptr;
}

// Returns the answer to a request that no handler takes: a CORS preflight, an unknown path (404), a verb
// which the path does not have (405), or a body that is not JSON (415). Empty if the handler of `match` takes
// the request. `body_size`: the bytes of the body, as far as they are known.
std::optional<HttpResponse> answer_without_handler(const Gate& gate, const HttpRequest& head,
                                                   const RouteMatch& match, std::uint64_t body_size);

// Answers a request which has been read completely. If no handler takes the request, sends the answer of
// answer_without_handler(). An unexpected exception becomes a 500 and a line in the log. Throws system_error
// only if the client is gone.
boost::asio::awaitable<void> dispatch(App& app, HttpExchange& exchange, const RouteMatch& match);

}  // namespace solard::server
