// What a route requires of its callers, and who a caller is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace solard::server {

// api_key is the default of a route that names no access.
enum class Access : std::uint8_t { api_key, anyone };

// The sender of a request, as it was authenticated.
struct Caller {
    std::uint64_t principal = 0;  // for fair share: the key, or the connection of a caller without one
    std::optional<std::size_t> key = {};  // index into ApiKeys::all()
};

}  // namespace solard::server
