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
// 11.2). Errors: invalid_value, headers_too_large. A message names the field, and the byte that is wrong, but
// repeats no value.
result<void> check_header_block(std::string_view block);

// What an answer and the log need to know of a request that cannot be read. Each part may be empty.
struct PartialHead {
    std::string_view method;
    std::string_view target;
    std::string_view origin;  // empty if there is more than one
};
// Reads the beginning of a header which is not complete, or which check_header_block() has refused. `bytes`
// begins with the request line. Lines which are not complete or not valid are left out, except the request
// line.
PartialHead read_partial_head(std::string_view bytes);

// Returns "/path" for the target "http://host/path" (RFC 9112, section 3.2.2), and any other target
// unchanged.
std::string_view origin_form(std::string_view target);

}  // namespace solard::server
