// Who may ask for what: the Host header, API keys, origins of other pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

class App;
struct HttpRequest;

// What a route asks of its callers; everything that names nothing asks for a key.
enum class Access : std::uint8_t { api_key, anyone };

// Who sent a request.
struct Caller {
    std::uint64_t principal = 0;     // for fair share: the key, or the connection of one without
    std::optional<std::size_t> key;  // into ApiKeys::all()
};

// By the header alone, before a body is read. Errors: host_not_allowed (a name that a page of another site
// may have pointed here, known as DNS rebinding), invalid_api_key.
result<Caller> check_access(const App& app, const HttpRequest& head, Access access);

// The parts of check_access(), for who asks in another order. Errors: host_not_allowed; invalid_api_key.
result<void> check_host(const App& app, std::string_view host);
result<Caller> check_key(const App& app, const HttpRequest& head, std::string_view secret);
Caller caller_of(const HttpRequest& head, std::optional<std::size_t> key);
// "Bearer KEY"; empty where it is something else.
std::string_view bearer_token(std::string_view authorization);

// Exact comparison with --allowed-origins; "*" there allows every page but those without an origin.
bool is_allowed_origin(const App& app, std::string_view origin);

}  // namespace solard::server
