// Checks the values of --allowed-origins and --allowed-hosts, which are compared with what browsers send.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace solard::server {

// Returns the origin in the form that browsers send (WHATWG HTML, "serialization of an origin"): in lower
// case, without the default port and without a slash at its end. Returns "*" for "*". Returns nullopt if no
// browser can send the origin, for example because the scheme is missing or a path follows.
std::optional<std::string> normal_origin(std::string_view origin);

// Returns true if the text can be the host name of a request: it has no scheme, port or path.
bool is_host_name(std::string_view name);

}  // namespace solard::server
