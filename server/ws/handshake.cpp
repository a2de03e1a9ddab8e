#include "server/ws/handshake.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {
namespace {

constexpr std::string_view own_subprotocol = "solar.responses.v1";
// The others are aliases that third-party clients send.
constexpr std::array<std::string_view, 3> subprotocols{own_subprotocol, "openai-beta.responses-v1",
                                                       "openai-beta.responses.v1"};
// As OpenAI's Realtime browser client passes its key: a page cannot set a header.
constexpr std::string_view secret_prefix = "openai-insecure-api-key.";

// Calls `use` with each entry of a comma-separated list until it gives true.
template <class Use>
void for_each_entry(std::string_view list, Use use) {
    while (!list.empty()) {
        std::string_view entry = list.substr(0, list.find(','));
        list.remove_prefix(std::min(entry.size() + 1, list.size()));
        entry.remove_prefix(std::min(entry.find_first_not_of(" \t"), entry.size()));
        entry = entry.substr(0, entry.find_last_not_of(" \t") + 1);
        if (use(entry)) return;
    }
}

// A page of this very server, behind TLS or not, or of an origin that was allowed. No page sends "null" for
// its own. Programs send none.
bool is_origin_allowed(const App& app, const HttpRequest& head) {
    if (head.origin.empty() || is_allowed_origin(app, head.origin)) return true;
    return !head.host.empty() &&
           (head.origin == "http://" + head.host || head.origin == "https://" + head.host);
}

// 16 bytes in base64 (RFC 6455, section 4.1).
bool is_websocket_key(std::string_view key) {
    const auto is_base64 = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/'; };
    return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), is_base64);
}

result<Caller> check_secret(const App& app, const HttpRequest& head, std::string_view secret) {
    if (secret.empty()) return check_key(app, head, bearer_token(head.authorization));
    if (const auto ticket = app.ws_tickets.find(std::string(secret), WsTickets::Clock::now()))
        return caller_of(head, ticket->key);
    return check_key(app, head, secret);
}

result<void> check_room(const App& app, const Caller& caller) {
    const auto state = app.engine.state();
    if (state == ServiceState::draining || state == ServiceState::failed)
        return app.engine.check_open().error();
    if (!caller.key) return {};
    if (app.key_states[*caller.key].num_sockets < app.config.ws_max_per_key) return {};
    return Error{errc::rate_limit_exceeded,
                 "This key has " + std::to_string(app.config.ws_max_per_key) + " sockets open already."};
}

}  // namespace

std::string_view select_subprotocol(std::string_view offered) {
    std::string_view selected;
    for_each_entry(offered, [&](std::string_view entry) {
        if (std::ranges::find(subprotocols, entry) != subprotocols.end()) selected = entry;
        return !selected.empty();
    });
    return selected;
}

std::string_view offered_secret(std::string_view offered) {
    std::string_view secret;
    for_each_entry(offered, [&](std::string_view entry) {
        if (entry.starts_with(secret_prefix)) secret = entry.substr(secret_prefix.size());
        return !secret.empty();
    });
    return secret;
}

result<WsUpgrade> check_upgrade(App& app, const HttpRequest& head, const WebSocketFields& fields) {
    if (auto host = check_host(app, head.host); !host) return host.error();
    if (!is_origin_allowed(app, head))
        return Error{errc::origin_not_allowed,
                     "Pages of this origin may not open a socket here; --allowed-origins adds it."};
    const std::string_view secret = offered_secret(fields.protocols);
    const auto caller = check_secret(app, head, secret);
    if (!caller) return caller.error();
    if (auto room = check_room(app, *caller); !room) return room.error();
    if (fields.version != "13")
        return Error{errc::upgrade_required, "Version 13 of the WebSocket protocol is spoken here."};
    if (!is_websocket_key(fields.key))
        return Error{errc::invalid_value, "Sec-WebSocket-Key must be 16 bytes in base64."};
    app.ws_tickets.use(std::string(secret));  // if it is one
    const auto selected = select_subprotocol(fields.protocols);
    return WsUpgrade{.caller = *caller,
                     .key = fields.key,
                     .subprotocol = std::string(selected),
                     .extensions = selected == own_subprotocol,
                     .request_id = {}};
}

}  // namespace solard::server
