// The checks before a connection becomes a WebSocket (server/ws/PROTOCOL.md, "Opening").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/auth/access.hpp"
#include "server/auth/gate.hpp"
#include "server/config/error.hpp"
#include "server/generation/engine_client.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// A socket which the client may open.
struct WsUpgrade {
    Caller caller;
    std::string key;          // Sec-WebSocket-Key
    std::string subprotocol;  // the selected subprotocol; empty: none
    bool extensions = false;  // true: the client knows the events whose type begins with "solar:"
    std::string path;
    std::string request_id;  // sent as x-request-id
};

// Checks the Host, then the Origin, the keys and tickets, the state of the server, the number of this key's
// sockets, and the fields of the WebSocket handshake. I/O thread only. Errors, in this order:
// host_not_allowed, origin_not_allowed, invalid_value (a header with a key is repeated), invalid_api_key,
// server_draining or engine_unavailable, rate_limit_exceeded, upgrade_required (another version of
// WebSocket), invalid_value (Sec-WebSocket-Key).
result<WsUpgrade> check_upgrade(Gate& gate, const EngineClient& engine, const ServerState& state,
                                const HttpRequest& head, const WebSocketFields& fields);

// Returns the first of the client's subprotocols which the server knows; empty if the server knows none.
std::string_view select_subprotocol(std::string_view offered);
// Returns the keys and tickets among the client's subprotocols.
std::vector<std::string> offered_secrets(std::string_view offered);

}  // namespace solard::server
