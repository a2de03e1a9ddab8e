#include "server/auth/gate.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <string>
#include <utility>

#include "server/api/error.hpp"
#include "server/config/random_bits.hpp"
#include "server/config/shown.hpp"
#include "server/config/text.hpp"

namespace solard::server {
namespace {

// The number of the first key, as a principal and as an owner; the numbers of the other keys follow. No
// connection has such a number, because connections are counted from 1. No network has such a number either:
// the number of an IPv6 network is the first 64 bits of its addresses, and no IPv6 address in use begins with
// 8000 (hexadecimal).
constexpr std::uint64_t key_principal = std::uint64_t{1} << 63;

// Names under which a program on the same machine, or in a container on it, reaches this server. The owner of
// a site cannot point any of these names at it, because `localhost` never belongs to a site (RFC 6761,
// section 6.3), and the other two exist only in the name services of Docker and Podman.
bool is_local_name(std::string_view name) {
    constexpr std::string_view suffix = ".localhost";
    if (name.size() > suffix.size() && equal_ignoring_case(name.substr(name.size() - suffix.size()), suffix))
        return true;
    constexpr auto names = std::to_array<std::string_view>(
        {"localhost", "localhost.", "host.docker.internal", "host.containers.internal"});
    return std::ranges::any_of(names, [&](std::string_view one) { return equal_ignoring_case(one, name); });
}

// Returns the host without its port, and an IPv6 address without its brackets.
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.find(':'));
}

Caller make_caller(std::optional<std::size_t> key, const Peer& peer) {
    if (!key) return {.principal = peer.connection, .owner = peer.network, .connection = peer.connection};
    const std::uint64_t number = key_principal + *key;
    return {.principal = number, .owner = number, .connection = peer.connection, .key = key};
}

}  // namespace

Gate::Gate(const AppConfig& config, ApiKeys keys)
    : config_(config), keys_(std::move(keys)), anonymous_cache_salt_(random_bits()) {
    for (const ApiKey& key : keys_.all())
        key_states_.push_back({Quota(key.concurrency, key.tokens_per_minute), random_bits()});
}

bool Gate::is_allowed_host(std::string_view host) const {
    // A Unix socket needs no check, because a web page cannot make a browser connect to it. A request without
    // Host is accepted, because HTTP/1.0 does not require this field.
    if (host.empty() || !config_.unix_socket.empty()) return true;
    const auto& allowed = config_.allowed_hosts;
    if (allowed.empty() && !keys_.empty()) return true;
    const std::string_view name = host_name(host);
    if (is_local_name(name)) return true;
    boost::system::error_code ec;
    boost::asio::ip::make_address(std::string(name), ec);
    if (!ec) return true;
    return std::ranges::any_of(allowed,
                               [&](const std::string& one) { return equal_ignoring_case(one, name); });
}

result<void> Gate::check_host(std::string_view host) const {
    if (is_allowed_host(host)) return {};
    return Error{errc::host_not_allowed,
                 "The host name '" + shown(host) +
                     "' is not allowed. The operator can allow it with the option --allowed-hosts."};
}

result<Caller> Gate::check_keys(const OfferedKeys& keys, const Peer& peer) const {
    if (keys.has_repeated_header)
        return Error{errc::invalid_value,
                     "The request must not repeat the headers Authorization, x-api-key and api-key."};
    if (keys_.empty()) return make_caller(std::nullopt, peer);
    // The first secret that is not a key ends the check, so that a long list of wrong secrets costs little.
    std::vector<std::size_t> offered;
    offered.reserve(keys.secrets.size() + keys.subprotocol_secrets.size());
    for (const std::string& secret : keys.secrets) {
        const auto key = keys_.find(secret);
        if (!key) return default_error(errc::invalid_api_key);
        offered.push_back(*key);
    }
    for (const std::string& secret : keys.subprotocol_secrets) {
        const auto ticket = tickets_.find(secret, WsTickets::Clock::now());
        const auto key = ticket ? ticket->key : keys_.find(secret);
        if (!key) return default_error(errc::invalid_api_key);
        offered.push_back(*key);
    }
    if (offered.empty()) return default_error(errc::invalid_api_key);
    if (std::ranges::count(offered, offered.front()) != std::ssize(offered))
        return Error{
            errc::invalid_api_key,
            "The headers Authorization, x-api-key and api-key, or the subprotocols of the WebSocket, "
            "name different keys. Send one of them, or the same key in all."};
    return make_caller(offered.front(), peer);
}

result<Caller> Gate::check_access(const Credentials& credentials, Access access) const {
    if (auto host = check_host(credentials.host); !host) return host.error();
    if (access == Access::anyone) return make_caller(std::nullopt, credentials.peer);
    return check_keys(credentials.keys, credentials.peer);
}

bool Gate::is_allowed_origin(std::string_view origin) const {
    return std::ranges::any_of(config_.allowed_origins, [&](const std::string& allowed) {
        return !origin.empty() && origin != "null" && (allowed == origin || allowed == "*");
    });
}

// The origin "null" is refused, because a page of this server never sends it.
bool Gate::may_open_socket_from(std::string_view origin, std::string_view host) const {
    if (origin.empty() || is_allowed_origin(origin)) return true;
    return !host.empty() &&
           (origin == "http://" + std::string(host) || origin == "https://" + std::string(host));
}

result<Quota::Place> Gate::take_place(const Caller& caller, Quota::Clock::time_point now) {
    if (!caller.key) return Quota::Place(nullptr);
    return key_states_[*caller.key].quota.take_place(now);
}

std::uint64_t Gate::cache_salt(const Caller& caller) const {
    return caller.key ? key_states_[*caller.key].cache_salt : anonymous_cache_salt_;
}

result<void> Gate::check_num_sockets(const Caller& caller) const {
    if (!caller.key || key_states_[*caller.key].num_sockets < config_.ws_max_per_key) return {};
    return Error{errc::rate_limit_exceeded, "This API key has reached its limit of open WebSockets (" +
                                                std::to_string(config_.ws_max_per_key) +
                                                "). Close one of them first."};
}

void Gate::count_sockets(const Caller& caller, std::int64_t change) {
    if (caller.key) key_states_[*caller.key].num_sockets += change;
}

}  // namespace solard::server
