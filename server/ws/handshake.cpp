#include "server/ws/handshake.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "server/config/shown.hpp"

namespace solard::server {
namespace {

constexpr std::string_view own_subprotocol = "solar.responses.v1";
// The second and the third name are aliases that third-party clients send.
constexpr std::array<std::string_view, 3> subprotocols{own_subprotocol, "openai-beta.responses-v1",
                                                       "openai-beta.responses.v1"};
// A web page cannot set a header when it opens a WebSocket. So OpenAI's Realtime client, when it runs in a
// browser, sends its key as a subprotocol with this prefix.
constexpr std::string_view secret_prefix = "openai-insecure-api-key.";

// Calls `use` with each entry of a comma-separated list until `use` returns true.
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

// Returns true if `key` is the base64 form of 16 bytes (RFC 6455, section 4.1).
bool is_websocket_key(std::string_view key) {
    const auto is_base64 = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/'; };
    return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), is_base64);
}

// A socket may be opened while the model is still loading.
result<void> check_open(const EngineClient& engine, const ServerState& state) {
    return state.is_ending() ? engine.check_ready() : result<void>();
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

std::vector<std::string> offered_secrets(std::string_view offered) {
    std::vector<std::string> secrets;
    for_each_entry(offered, [&](std::string_view entry) {
        if (entry.size() > secret_prefix.size() && entry.starts_with(secret_prefix))
            secrets.emplace_back(entry.substr(secret_prefix.size()));
        return false;
    });
    return secrets;
}

result<WsUpgrade> check_upgrade(Gate& gate, const EngineClient& engine, const ServerState& state,
                                const HttpRequest& head, const WebSocketFields& fields) {
    if (auto host = gate.check_host(head.host); !host) return host.error();
    if (!gate.may_open_socket_from(head.origin, head.host))
        return Error{errc::origin_not_allowed,
                     "Pages of the origin '" + shown(head.origin) +
                         "' may not open a WebSocket on this server. The operator of the server can "
                         "allow the origin with --allowed-origins."};
    OfferedKeys keys = head.keys;
    keys.subprotocol_secrets = offered_secrets(fields.protocols);
    const auto caller = gate.check_keys(keys, head.peer);
    if (!caller) return caller.error();
    if (auto open = check_open(engine, state); !open) return open.error();
    if (auto few = gate.check_num_sockets(*caller); !few) return few.error();
    if (fields.version != "13")
        return Error{errc::upgrade_required,
                     "Unsupported WebSocket version; this server supports version 13."};
    if (!is_websocket_key(fields.key))
        return Error{errc::invalid_value, "The header Sec-WebSocket-Key must contain 16 bytes in base64."};
    for (const std::string& secret : keys.subprotocol_secrets) gate.use_ticket(secret);
    const auto selected = select_subprotocol(fields.protocols);
    return WsUpgrade{.caller = *caller,
                     .key = fields.key,
                     .subprotocol = std::string(selected),
                     .extensions = selected == own_subprotocol,
                     .path = head.path,
                     .request_id = {}};
}

}  // namespace solard::server
