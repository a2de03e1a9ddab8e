// Tells from which network a client comes, so that a client gains nothing by using many addresses of its own.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdint>

namespace solard::server {

// Returns a number for the network of `address`: an IPv4 address is a network of its own, and an IPv6 address
// belongs to its /64, because a single customer gets at least that many. An IPv4 address that is written as
// an IPv6 address has the number of the IPv4 address.
std::uint64_t network_of(const boost::asio::ip::address& address);

// Returns the number for the address of a peer. All clients of a Unix socket are one network.
std::uint64_t network_of_peer(const boost::asio::generic::stream_protocol::endpoint& peer);

}  // namespace solard::server
