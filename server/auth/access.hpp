// What a route requires of its callers, and who a caller is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace solard::server {

// The access that a route requires. api_key is the default of a route that does not set it.
enum class Access : std::uint8_t { api_key, anyone };

// Where a request comes from.
struct Peer {
    std::uint64_t connection = 0;  // its number; no other connection of this process has it
    std::uint64_t network = 0;     // as returned by network_of()
};

// The sender of a request, as it was authenticated. A principal is an API key, or one connection of a caller
// without a key. An owner is an API key, or all callers without a key from one network.
struct Caller {
    std::uint64_t principal = 0;
    std::uint64_t owner = 0;
    std::uint64_t connection = 0;
    std::optional<std::size_t> key = {};  // index into ApiKeys::all()
    // How often the client has sent this request before, if it says so.
    std::optional<std::uint32_t> num_retries = {};
};

// Returns the owner to whom WaitingMemory charges what the caller's requests hold.
inline std::uint64_t memory_owner(const Caller& caller) {
    return caller.owner;
}

}  // namespace solard::server
