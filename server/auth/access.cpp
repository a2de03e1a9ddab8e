#include "server/auth/access.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>
#include <string>

#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {
namespace {

constexpr std::uint64_t key_principal = std::uint64_t{1} << 63;  // connections count from 1

bool same_text(std::string_view a, std::string_view b) {
    return std::ranges::equal(
        a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Without the port; an IPv6 address without its brackets.
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.find(':'));
}

bool is_allowed_host(const App& app, std::string_view host) {
    // No page can send a browser to a Unix socket. HTTP/1.0 knows no Host.
    if (host.empty() || !app.config.unix_socket.empty()) return true;
    const auto& allowed = app.config.allowed_hosts;
    if (allowed.empty() && !app.keys.empty()) return true;
    const std::string_view name = host_name(host);
    if (same_text(name, "localhost")) return true;
    boost::system::error_code ec;
    boost::asio::ip::make_address(std::string(name), ec);
    if (!ec) return true;
    return std::ranges::any_of(allowed, [&](const std::string& one) { return same_text(one, name); });
}

}  // namespace

// The scheme's case does not count (RFC 9110, section 11.1).
std::string_view bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (!same_text(authorization.substr(0, scheme.size()), scheme)) return {};
    authorization.remove_prefix(scheme.size());
    authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
    return authorization;
}

result<void> check_host(const App& app, std::string_view host) {
    if (is_allowed_host(app, host)) return {};
    return Error{errc::host_not_allowed, "This host name is not served here; --allowed-hosts adds it."};
}

Caller caller_of(const HttpRequest& head, std::optional<std::size_t> key) {
    return {.principal = key ? key_principal + *key : head.connection, .key = key};
}

result<Caller> check_key(const App& app, const HttpRequest& head, std::string_view secret) {
    if (app.keys.empty()) return caller_of(head, std::nullopt);
    const auto key = app.keys.find(secret);
    if (!key) return Error{errc::invalid_api_key, std::string(message_of(errc::invalid_api_key))};
    return caller_of(head, key);
}

result<Caller> check_access(const App& app, const HttpRequest& head, Access access) {
    if (auto host = check_host(app, head.host); !host) return host.error();
    if (access == Access::anyone) return caller_of(head, std::nullopt);
    return check_key(app, head, bearer_token(head.authorization));
}

bool is_allowed_origin(const App& app, std::string_view origin) {
    return std::ranges::any_of(app.config.allowed_origins, [&](const std::string& allowed) {
        return !origin.empty() && origin != "null" && (allowed == origin || allowed == "*");
    });
}

}  // namespace solard::server
