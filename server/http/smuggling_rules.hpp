// What a request's header must look like before anything is made of it.
#pragma once

#include <cstddef>
#include <string_view>

#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_header_fields = 100;
inline constexpr std::size_t max_target_bytes = 8 << 10;

// `block` is the request line and the fields, up to and including the empty line. Stricter than a parser must
// be: whatever two parsers may read in two ways is refused, for that is how a request is smuggled past a
// proxy (RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3, 11.2). Errors: invalid_value, headers_too_large.
result<void> check_header_block(std::string_view block);

// "http://host/path" is "/path" (RFC 9112, section 3.2.2).
std::string_view origin_form(std::string_view target);

}  // namespace solard::server
