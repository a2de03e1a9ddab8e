// Who may ask for what: the Host header, API keys, origins of other pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

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

// Exact comparison with --allowed-origins.
bool is_allowed_origin(const App& app, std::string_view origin);

}  // namespace solard
