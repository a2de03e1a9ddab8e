#include "server/auth/network.hpp"

#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

namespace solard::server {
namespace {

std::uint64_t network(const char* address) {
    const boost::asio::ip::tcp::endpoint peer(boost::asio::ip::make_address(address), 1234);
    return network_of(peer.data());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(networks)

BOOST_AUTO_TEST_CASE(each_ipv4_address_is_a_network) {
    BOOST_TEST(network("127.0.0.1") == network("127.0.0.1"));
    BOOST_TEST(network("127.0.0.1") != network("127.0.0.2"));
    BOOST_TEST(network("::ffff:10.1.2.3") == network("10.1.2.3"));
}

BOOST_AUTO_TEST_CASE(ipv6_addresses_with_the_same_64_bits_are_one_network) {
    BOOST_TEST(network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::9"));
    BOOST_TEST(network("2001:db8:1:2::1") != network("2001:db8:1:3::1"));
    BOOST_TEST(network("::1") != network("127.0.0.1"));
}

BOOST_AUTO_TEST_CASE(all_peers_of_a_unix_socket_are_one_network) {
    const sockaddr peer{.sa_family = AF_UNIX, .sa_data = {}};
    BOOST_TEST(network_of(&peer) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
