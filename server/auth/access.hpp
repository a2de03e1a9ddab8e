// What a route requires of its callers, and who a caller is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace solard::server {

// The access that a route requires. api_key is the default of a route that does not set it.
enum class Access : std::uint8_t { api_key, anyone };

// The sender of a request, as it was authenticated.
struct Caller {
    std::uint64_t principal = 0;  // for fair share: the key, or the connection of a caller without a key
    std::optional<std::size_t> key = {};  // index into ApiKeys::all()
};

// Returns the owner to whom WaitingMemory charges what the caller's requests hold.
inline std::uint64_t memory_owner(const Caller& caller) {
    return caller.principal;
}

}  // namespace solard::server
