// Decides who may use the server. It checks the host name, the API key and its quota, the origin of a page,
// and the ticket for a WebSocket.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth/access.hpp"
#include "server/auth/api_keys.hpp"
#include "server/auth/quota.hpp"
#include "server/auth/ws_tickets.hpp"
#include "server/config/app_config.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// The properties of a request that decide whether it gets access.
struct Credentials {
    std::string_view host = {};
    const OfferedKeys& keys;
    Peer peer = {};
};

// I/O thread only.
class Gate {
  public:
    // `config` must outlive the gate. If there are no keys, everybody may use the server.
    Gate(const AppConfig& config, ApiKeys keys);
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    // Judges a request by its header alone, before the body is read. Errors: those of check_host() and
    // check_keys().
    result<Caller> check_access(const Credentials& credentials, Access access) const;

    // The two parts of check_access(). The handshake of a WebSocket checks the origin between them.
    // check_host() fails with host_not_allowed, which protects against DNS rebinding: the owner of another
    // site may have pointed the name of that site at this server. check_keys() fails with invalid_value if a
    // header is repeated, and with invalid_api_key unless all secrets stand for the same key. A ticket stays
    // valid until use_ticket() is called.
    result<void> check_host(std::string_view host) const;
    result<Caller> check_keys(const OfferedKeys& keys, const Peer& peer) const;

    // Returns true if --allowed-origins contains exactly this origin or "*". An empty origin and "null" are
    // never allowed.
    bool is_allowed_origin(std::string_view origin) const;
    // Returns true for a page of this server (over HTTP or HTTPS), for an allowed origin, and for an empty
    // origin, because programs other than browsers send no origin.
    bool may_open_socket_from(std::string_view origin, std::string_view host) const;

    // Counts one request of the caller as in flight until the returned Place is destroyed. Errors:
    // rate_limit_exceeded.
    result<Quota::Place> take_place(const Caller& caller, Quota::Clock::time_point now);
    // Returns the caller's salt for the prefix cache. Requests share cached prompts only if their salts are
    // equal. Each key has its own salt, and all callers without a key have the same salt.
    std::uint64_t cache_salt(const Caller& caller) const;

    // Checks that the caller's key may open one more WebSocket. Errors: rate_limit_exceeded.
    result<void> check_num_sockets(const Caller& caller) const;
    void count_socket_opened(const Caller& caller) { count_sockets(caller, 1); }
    void count_socket_closed(const Caller& caller) { count_sockets(caller, -1); }

    std::string issue_ticket(const Caller& caller) {
        return tickets_.issue(caller.key, WsTickets::Clock::now());
    }
    // Removes the ticket `secret`. Does nothing if `secret` is not a ticket.
    void use_ticket(std::string_view secret) { tickets_.use(std::string(secret)); }

  private:
    struct KeyState {
        Quota quota;
        std::uint64_t cache_salt;
        std::int64_t num_sockets = 0;
    };
    bool is_allowed_host(std::string_view host) const;
    void count_sockets(const Caller& caller, std::int64_t change);

    const AppConfig& config_;
    const ApiKeys keys_;
    std::vector<KeyState> key_states_;  // in the order of `keys_`
    const std::uint64_t anonymous_cache_salt_;
    WsTickets tickets_;
};

}  // namespace solard::server
