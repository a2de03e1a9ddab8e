#include "server/auth/gate.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace solard::server {
namespace {

// Two API keys. The second key may have only one request in flight.
struct TwoKeys {
    TwoKeys() {
        std::string path = SOLARD_TEST_BUILD_DIR "/gate-XXXXXX";
        close(mkstemp(path.data()));
        const auto first = make_api_key("first");
        const auto second = make_api_key("second");
        std::ofstream(path) << first.line << '\n' << second.line << " concurrency=1\n";
        secrets = {first.secret, second.secret};
        keys = ApiKeys::load(path).value();
        std::filesystem::remove(path);
    }
    std::vector<std::string> secrets;
    ApiKeys keys;
};

AppConfig config_with(std::vector<std::string> hosts, std::vector<std::string> origins) {
    AppConfig config;
    config.allowed_hosts = std::move(hosts);
    config.allowed_origins = std::move(origins);
    config.ws_max_per_key = 2;
    return config;
}

BOOST_AUTO_TEST_SUITE(gate)

BOOST_AUTO_TEST_CASE(without_keys_a_caller_is_its_connection) {
    const AppConfig config = config_with({}, {});
    const Gate gate(config, {});
    const auto caller = gate.check_access(
        {.host = "localhost:8000", .keys = {}, .peer = {.connection = 7, .network = 9}}, Access::api_key);
    BOOST_REQUIRE(caller);
    BOOST_TEST(!caller->key.has_value());
    BOOST_TEST(caller->principal == 7U);
    BOOST_TEST(gate.cache_salt(*caller) == gate.cache_salt({.principal = 8}));
}

BOOST_AUTO_TEST_CASE(with_keys_each_key_is_a_principal_with_a_cache_salt_of_its_own) {
    const TwoKeys two;
    const AppConfig config = config_with({}, {});
    const Gate gate(config, two.keys);
    const auto with = [&](const OfferedKeys& offered, Access access) {
        return gate.check_access(
            {.host = "any.example", .keys = offered, .peer = {.connection = 7, .network = 9}}, access);
    };
    const auto first = with({.secrets = {two.secrets[0]}}, Access::api_key);
    const auto second = with({.secrets = {two.secrets[1], two.secrets[1]}}, Access::api_key);
    BOOST_REQUIRE((first && second));
    BOOST_TEST((first->key == 0U && second->key == 1U));
    BOOST_TEST(first->principal != second->principal);
    BOOST_TEST(gate.cache_salt(*first) != gate.cache_salt(*second));
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                  {"sk-wrong"},
                                                  {two.secrets[0], "sk-wrong"},
                                                  {"sk-wrong", two.secrets[0]}})
        BOOST_TEST((with({.secrets = wrong}, Access::api_key).error().code == errc::invalid_api_key));
    const auto different = with({.secrets = two.secrets}, Access::api_key).error();
    BOOST_TEST((different.code == errc::invalid_api_key));
    BOOST_TEST(different.message.find("name different keys") != std::string::npos);
    const OfferedKeys repeated{.secrets = {two.secrets[0]}, .has_repeated_header = true};
    BOOST_TEST((with(repeated, Access::api_key).error().code == errc::invalid_value));
    BOOST_TEST(with({}, Access::anyone).has_value());
}

BOOST_AUTO_TEST_CASE(host_must_be_an_address_or_an_allowed_name) {
    const AppConfig config = config_with({"chat.example"}, {});
    const Gate gate(config, {});
    for (const char* host :
         {"", "localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "Chat.Example:80", "localhost.",
          "localhost.:80", "app.localhost:3000", "a.b.LocalHost", "host.docker.internal",
          "HOST.DOCKER.INTERNAL:8000", "host.containers.internal:1"})
        BOOST_TEST(gate.check_host(host).has_value(), host);
    for (const char* host : {"evil.example", "chat.example.evil", "localhost.evil", "localhost.evil.example",
                             "evillocalhost", ".localhost", "other.docker.internal", "x.host.docker.internal",
                             "internal", "host.docker.internal."})
        BOOST_TEST((gate.check_host(host).error().code == errc::host_not_allowed), host);
}

BOOST_AUTO_TEST_CASE(socket_may_be_opened_by_programs_own_pages_and_allowed_origins) {
    const AppConfig config = config_with({}, {"https://chat.example"});
    const Gate gate(config, {});
    for (const char* origin : {"", "http://here:8000", "https://here:8000", "https://chat.example"})
        BOOST_TEST(gate.may_open_socket_from(origin, "here:8000"), origin);
    for (const char* origin : {"null", "http://here", "http://chat.example", "https://chat.example:1",
                               "http://host.docker.internal:1", "http://app.localhost"})
        BOOST_TEST(!gate.may_open_socket_from(origin, "here:8000"), origin);
    BOOST_TEST(!gate.may_open_socket_from("http://", ""));
    const AppConfig open = config_with({}, {"*"});
    BOOST_TEST(Gate(open, {}).is_allowed_origin("https://any.example"));
    BOOST_TEST(!Gate(open, {}).is_allowed_origin("null"));
    BOOST_TEST(!Gate(open, {}).is_allowed_origin(""));
}

BOOST_AUTO_TEST_CASE(places_and_sockets_are_counted_per_key) {
    const TwoKeys two;
    const AppConfig config = config_with({}, {});
    Gate gate(config, two.keys);
    const Caller second{.principal = 1, .key = 1};
    {
        const auto place = gate.take_place(second, {});
        BOOST_TEST(place.has_value());
        BOOST_TEST((gate.take_place(second, {}).error().code == errc::rate_limit_exceeded));
        BOOST_TEST(gate.take_place({.principal = 1, .key = 0}, {}).has_value());
    }
    BOOST_TEST(gate.take_place(second, {}).has_value());
    for (int i = 0; i < 2; ++i) {
        BOOST_TEST(gate.check_num_sockets(second).has_value());
        gate.count_socket_opened(second);
    }
    BOOST_TEST((gate.check_num_sockets(second).error().code == errc::rate_limit_exceeded));
    BOOST_TEST(gate.check_num_sockets({.principal = 1, .key = 0}).has_value());
    gate.count_socket_closed(second);
    BOOST_TEST(gate.check_num_sockets(second).has_value());
}

BOOST_AUTO_TEST_CASE(ticket_stands_for_its_key_until_it_is_used) {
    const TwoKeys two;
    const AppConfig config = config_with({}, {});
    Gate gate(config, two.keys);
    const std::string ticket = gate.issue_ticket({.principal = 1, .key = 1});
    const auto with = [&](const std::vector<std::string>& headers,
                          const std::vector<std::string>& subprotocols) {
        return gate.check_keys({.secrets = headers, .subprotocol_secrets = subprotocols}, {.connection = 7});
    };
    BOOST_TEST((with({}, {ticket})->key == 1U));
    BOOST_TEST((with({two.secrets[1]}, {ticket, two.secrets[1]})->key == 1U));
    BOOST_TEST((with({}, {two.secrets[0]})->key == 0U));
    for (const auto& refused :
         {with({ticket}, {}), with({two.secrets[0]}, {ticket}), with({}, {ticket, two.secrets[0]}),
          with({"wrong"}, {ticket}), with({two.secrets[0]}, {two.secrets[1]}),
          with({two.secrets[0]}, {"wrong"})}) {
        BOOST_REQUIRE(!refused.has_value());
        BOOST_TEST((refused.error().code == errc::invalid_api_key));
    }
    gate.use_ticket(ticket);
    BOOST_TEST((with({}, {ticket}).error().code == errc::invalid_api_key));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
