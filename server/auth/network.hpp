// The network from which a caller without a key comes.
#pragma once

#include <cstdint>

struct sockaddr;

namespace solard::server {

// Returns a number for the network of a peer. The network is its IPv4 address, or the first 64 bits of its
// IPv6 address, because one customer usually gets all addresses with the same first 64 bits. An IPv4 address
// has the same number when it is written as an IPv6 address. All peers of a Unix socket have the number 0.
std::uint64_t network_of(const sockaddr* peer);

}  // namespace solard::server
