// Checks a request's header before any other part of the server uses it.
#pragma once

#include <cstddef>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_header_fields = 100;
inline constexpr std::size_t max_target_bytes = 8 << 10;

// Checks the request line and the fields. `block` must include the empty line at its end. The check is
// stricter than the RFC requires. It refuses everything that two parsers may read differently, because such a
// difference lets an attacker smuggle a request past a proxy (RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3,
// 11.2). Errors: invalid_value, headers_too_large.
result<void> check_header_block(std::string_view block);

// Returns "/path" for the target "http://host/path" (RFC 9112, section 3.2.2), and any other target
// unchanged.
std::string_view origin_form(std::string_view target);

}  // namespace solard::server
