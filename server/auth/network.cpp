#include "server/auth/network.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <cstring>

namespace solard::server {
namespace {

namespace ip = boost::asio::ip;

// No IPv6 address outside of the reserved block ::/8 begins with these numbers.
constexpr std::uint64_t first_ipv4_network = std::uint64_t{1} << 32;
constexpr std::uint64_t unix_network = std::uint64_t{2} << 32;

template <class Address>
Address copy_of(const void* data) {
    Address address{};
    std::memcpy(&address, data, sizeof address);
    return address;
}

}  // namespace

std::uint64_t network_of(const ip::address& address) {
    if (address.is_v4()) return first_ipv4_network | address.to_v4().to_uint();
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return network_of(ip::make_address_v4(ip::v4_mapped, v6));
    return boost::endian::load_big_u64(v6.to_bytes().data());
}

std::uint64_t network_of_peer(const boost::asio::generic::stream_protocol::endpoint& peer) {
    if (peer.protocol().family() == AF_INET && peer.size() >= sizeof(sockaddr_in)) {
        const auto v4 = copy_of<sockaddr_in>(peer.data());
        return network_of(ip::address_v4(ntohl(v4.sin_addr.s_addr)));
    }
    if (peer.protocol().family() == AF_INET6 && peer.size() >= sizeof(sockaddr_in6)) {
        const auto v6 = copy_of<sockaddr_in6>(peer.data());
        ip::address_v6::bytes_type bytes;
        std::ranges::copy(v6.sin6_addr.s6_addr, bytes.begin());
        return network_of(ip::address_v6(bytes));
    }
    return unix_network;
}

}  // namespace solard::server
