// Tests, with real connections, the deadlines of a connection and the answers which are sent before a body is
// read.
#include <boost/test/unit_test.hpp>

#include "tests/support/running_service.hpp"

namespace solard::server {
namespace {

BOOST_AUTO_TEST_SUITE(http_session)

BOOST_AUTO_TEST_CASE(header_timeout_begins_with_the_connection) {
    RunningService service({"--header-timeout", "0.02", "--idle-timeout", "86400"});
    for (const char* bytes : {"", "\r\n\r\n", "\r", "GET / HT"}) {
        Connection connection(service.port());
        connection.send(bytes);
        BOOST_TEST(connection.at_end());
    }
}

BOOST_AUTO_TEST_CASE(kept_connection_that_sends_only_empty_lines_ends_after_the_idle_timeout) {
    RunningService service({"--header-timeout", "86400", "--idle-timeout", "0.02"});
    for (const char* bytes : {"", "\r\n\r\n", "\r"}) {
        Connection connection(service.port());
        connection.send(get_request("/health"));
        BOOST_TEST(connection.read_answer().status == 200);
        connection.send(bytes);
        BOOST_TEST(connection.at_end());
    }
}

BOOST_AUTO_TEST_CASE(connection_ends_when_its_idle_client_leaves) {
    RunningService service({"--header-timeout", "86400", "--idle-timeout", "86400"});
    Connection observer(service.port());
    const auto is_alone = [&] {
        observer.send(get_request("/metrics"));
        const std::string metrics = observer.read_answer().body;
        const auto at = metrics.find("\nsolard_connections{");
        return metrics.substr(at, metrics.find('\n', at + 1) - at).ends_with("} 1");
    };
    for (const std::string& request : {std::string(), get_request("/health")}) {
        Connection client(service.port());
        client.send(request);
        if (!request.empty()) BOOST_TEST(client.read_answer().status == 200);
        client.close();
        bool has_ended = false;
        for (int tries = 0; tries < 10'000 && !has_ended; ++tries) has_ended = is_alone();
        BOOST_TEST(has_ended);
    }
}

BOOST_AUTO_TEST_CASE(header_timeout_of_a_later_request_begins_with_its_first_byte) {
    RunningService service({"--header-timeout", "0.5", "--idle-timeout", "86400"});
    Connection connection(service.port());
    connection.send(get_request("/health"));
    BOOST_TEST(connection.read_answer().status == 200);
    connection.send("\r\nGET / HT");
    BOOST_TEST(connection.at_end());
}

BOOST_AUTO_TEST_CASE(body_that_does_not_arrive_ends_the_connection_after_the_body_timeout) {
    RunningService service(
        {"--header-timeout", "86400", "--idle-timeout", "86400", "--body-timeout", "0.02"});
    Connection connection(service.port());
    connection.send(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 10\r\n\r\n{");
    BOOST_TEST(connection.at_end());
}

BOOST_AUTO_TEST_CASE(kept_connection_may_be_idle_for_longer_than_the_header_timeout) {
    RunningService service({"--header-timeout", "1", "--idle-timeout", "86400"});
    Connection kept(service.port());
    kept.send(get_request("/health"));
    BOOST_TEST(kept.read_answer().status == 200);
    Connection silent(service.port());
    BOOST_TEST(silent.at_end());
    kept.send(get_request("/health"));
    BOOST_TEST(kept.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(request_that_no_handler_takes_is_answered_before_its_body_is_read) {
    RunningService service({"--body-timeout", "86400", "--allowed-origins", "https://chat.example"});
    const auto ask = [&](const std::string& request_line, const std::string& field) {
        Connection connection(service.port());
        connection.send(request_line + " HTTP/1.1\r\nHost: localhost\r\n" + field +
                        "\r\nContent-Length: 1000\r\n\r\n");  // this client never sends the body
        auto answer = connection.read_answer();
        BOOST_TEST(answer.has("Connection: close"));
        BOOST_TEST(connection.at_end());
        return answer;
    };
    BOOST_TEST(ask("POST /nowhere", "Content-Type: application/json").status == 404);
    const auto verb = ask("PUT /v1/completions", "Content-Type: application/json");
    BOOST_TEST(verb.status == 405);
    BOOST_TEST(verb.has("Allow: POST\r\n"));
    BOOST_TEST(ask("POST /v1/completions", "Content-Type: text/plain").status == 415);
    for (const std::string coding : {"gzip", "br", "identity, gzip", "GZIP"}) {
        const auto encoded =
            ask("POST /v1/completions", "Content-Type: application/json\r\nContent-Encoding: " + coding);
        BOOST_TEST(encoded.status == 415, coding);
        BOOST_TEST(encoded.body.find("has the Content-Encoding '") != std::string::npos, coding);
    }
    BOOST_TEST(ask("OPTIONS /v1/completions", "Origin: https://chat.example").status == 204);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
