#include "server/auth/network.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/test/unit_test.hpp>

namespace solard::server {
namespace {

namespace asio = boost::asio;

std::uint64_t number_of(const char* address, std::uint16_t port = 1) {
    return network_of(asio::ip::tcp::endpoint(asio::ip::make_address(address), port).data());
}

BOOST_AUTO_TEST_SUITE(network)

BOOST_AUTO_TEST_CASE(ipv4_addresses_are_different_networks) {
    BOOST_TEST(number_of("127.0.0.1") == number_of("127.0.0.1", 65535));
    BOOST_TEST(number_of("127.0.0.1") != number_of("127.0.0.2"));
    BOOST_TEST(number_of("::ffff:127.0.0.1") == number_of("127.0.0.1"));
}

BOOST_AUTO_TEST_CASE(ipv6_addresses_with_the_same_64_bits_are_one_network) {
    BOOST_TEST(number_of("2001:db8:0:1::1") == number_of("2001:db8:0:1:ffff::2", 65535));
    BOOST_TEST(number_of("2001:db8:0:1::1") != number_of("2001:db8:0:2::1"));
    BOOST_TEST(number_of("::1") != number_of("0.0.0.0"));
    BOOST_TEST(number_of("0:0:a01:203::1") != number_of("10.1.2.3"));
}

BOOST_AUTO_TEST_CASE(clients_of_a_unix_socket_are_one_network) {
    const std::uint64_t unnamed = network_of(asio::local::stream_protocol::endpoint("").data());
    BOOST_TEST(unnamed == network_of(asio::local::stream_protocol::endpoint("solard.sock").data()));
    BOOST_TEST(unnamed != number_of("127.0.0.1"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
