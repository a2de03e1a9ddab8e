// What is checked before a connection becomes a WebSocket (server/ws/PROTOCOL.md, "Opening").
#pragma once

#include <string>
#include <string_view>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// A socket that may be opened.
struct WsUpgrade {
    Caller caller;
    std::string key;          // Sec-WebSocket-Key
    std::string subprotocol;  // the one to select; empty: none
    bool extensions = false;  // the client knows the events whose type begins with "solar:"
    std::string request_id;   // sent as x-request-id
};

// Host, then Origin, then the key or ticket, then how many sockets there are. I/O thread only. Errors:
// host_not_allowed, origin_not_allowed, invalid_api_key, rate_limit_exceeded (sockets of this key),
// server_draining, engine_unavailable, upgrade_required (another version of the protocol), invalid_value.
result<WsUpgrade> check_upgrade(GenerationService& generation, const HttpRequest& head,
                                const WebSocketFields& fields);

// The first of the client's subprotocols that the server knows; empty if it knows none.
std::string_view select_subprotocol(std::string_view offered);
// The key or ticket among them; empty if there is none.
std::string_view offered_secret(std::string_view offered);

}  // namespace solard::server
