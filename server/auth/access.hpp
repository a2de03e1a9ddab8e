// The access that a route requires of its callers, and the identity of a caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace solard::server {

// The access that a route requires. A route that sets no access requires api_key.
enum class Access : std::uint8_t { api_key, anyone };

// The API keys that the headers of a request name: "Authorization: Bearer", x-api-key, api-key and, on a
// WebSocket, Sec-WebSocket-Protocol.
struct OfferedKeys {
    std::vector<std::string> secrets = {};  // at most one from each of the first three headers
    // Keys and single-use tickets among the subprotocols of a WebSocket.
    std::vector<std::string> subprotocol_secrets = {};
    bool has_repeated_header = false;  // then it is not clear which of the headers counts
};

// Where a request comes from.
struct Peer {
    std::uint64_t connection = 0;  // number of the connection, unique in this process
    std::uint64_t network = 0;     // as returned by network_of()
};

// The sender of a request, as it was authenticated. A principal is an API key, or one connection of a caller
// without a key. An owner is an API key, or all callers without a key from one network.
struct Caller {
    std::uint64_t principal = 0;
    std::uint64_t owner = 0;
    std::uint64_t connection = 0;
    std::optional<std::size_t> key = {};  // index into ApiKeys::all()
    // The number of times that the client has already sent this request, if the client reports this number.
    std::optional<std::uint32_t> num_retries = {};
};

// Returns the owner to whom WaitingMemory charges the memory of the caller's requests.
inline std::uint64_t memory_owner(const Caller& caller) {
    return caller.owner;
}

}  // namespace solard::server
