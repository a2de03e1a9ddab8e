#include "server/auth/network.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <span>

namespace solard::server {
namespace {

// The number of an IPv4 address is the sum of this bit and the 32 bits of the address. The number of an IPv6
// network is the first 64 bits of its addresses. An IPv6 network with the number of an IPv4 address would
// begin with 0:1:, and no such network is in use.
constexpr std::uint64_t ipv4_bit = std::uint64_t{1} << 32;

std::uint64_t number_of(std::span<const unsigned char> bytes) {
    std::uint64_t number = 0;
    for (const unsigned char byte : bytes) number = number << 8 | byte;
    return number;
}

}  // namespace

std::uint64_t network_of(const sockaddr* peer) {
    if (peer->sa_family == AF_INET)
        return ipv4_bit | ntohl(reinterpret_cast<const sockaddr_in*>(peer)->sin_addr.s_addr);
    if (peer->sa_family != AF_INET6) return 0;
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(peer)->sin6_addr;
    const std::span<const unsigned char> bytes(address.s6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&address)) return ipv4_bit | number_of(bytes.last(4));
    return number_of(bytes.first(8));
}

}  // namespace solard::server
