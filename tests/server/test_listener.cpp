// Tests, with real connections, what happens when the server has reached its connection limit. All
// connections of these tests come from one address; test_connection_table.cpp has several.
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <string_view>
#include <utility>

#include "tests/support/running_service.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace {

int status_of(Connection& connection, const std::string& path) {
    connection.send(get_request(path));
    return connection.read_answer().status;
}

int status_for_newcomer(RunningService& service, const std::string& path) {
    Connection newcomer(service.port());
    return status_of(newcomer, path);
}

// Sends a request for a stream, which does not end while the gate is closed, and reads its first event.
void begin_stream(RunningService& service, Connection& connection) {
    service.control().close_gate();
    connection.send(chat_request("a", R"("max_tokens":20,"stream":true)"));
    service.control().wait_until_held();
    service.control().pass_one();
    connection.read_until("data: ");
}

// While it exists, this process can open no further file descriptor.
class NoDescriptors {
  public:
    NoDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        const int lowest_free = dup(0);
        close(lowest_free);
        const rlimit used{.rlim_cur = static_cast<rlim_t>(lowest_free), .rlim_max = before_.rlim_max};
        setrlimit(RLIMIT_NOFILE, &used);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

  private:
    rlimit before_{};
};

BOOST_AUTO_TEST_SUITE(listener)

BOOST_AUTO_TEST_CASE(at_the_limit_the_oldest_idle_connection_gives_way) {
    RunningService service({"--max-connections", "2"});
    Connection first(service.port());
    Connection second(service.port());
    BOOST_TEST(status_of(first, "/v1/models") == 200);
    BOOST_TEST(status_of(second, "/v1/models") == 200);
    BOOST_TEST(status_of(first, "/v1/models") == 200);  // `second` is now idle for longer
    Connection newcomer(service.port());
    BOOST_TEST(status_of(newcomer, "/v1/models") == 200);
    BOOST_TEST(second.at_end());
    BOOST_TEST(status_of(first, "/v1/models") == 200);
}

BOOST_AUTO_TEST_CASE(at_the_limit_a_connection_without_a_whole_header_gives_way) {
    RunningService service({"--max-connections", "1"});
    for (const char* bytes : {"", "\r\n", "GET / HT"}) {
        Connection silent(service.port());
        silent.send(bytes);
        BOOST_TEST(status_for_newcomer(service, "/v1/models") == 200);
        BOOST_TEST(silent.at_end());
    }
}

BOOST_AUTO_TEST_CASE(at_the_limit_answers_and_bodies_are_not_interrupted) {
    RunningService service({"--max-connections", "2"});
    const auto request = chat_request("b", R"("max_tokens":2)");
    Connection body(service.port());
    body.send(request.substr(0, request.size() - 1));
    Connection stream(service.port());
    begin_stream(service, stream);
    Connection refused(service.port());
    refused.send(get_request("/v1/models"));
    const auto answer = refused.read_answer();
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(answer.body.find("server_overloaded") != std::string::npos);
    BOOST_TEST(refused.at_end());
    service.control().open_gate();
    body.send(request.substr(request.size() - 1));
    BOOST_TEST(body.read_answer().status == 200);
    BOOST_TEST(stream.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(health_routes_are_answered_at_the_limit) {
    RunningService service({"--max-connections", "1"});
    Connection stream(service.port());
    begin_stream(service, stream);
    for (const char* path : {"/health", "/v1/health/live", "/v1/health/ready"}) {
        Connection probe(service.port());
        BOOST_TEST(status_of(probe, path) == 200, path);
        BOOST_TEST(probe.at_end());  // the reserved place is free again
    }
    BOOST_TEST(status_for_newcomer(service, "/v1/version") == 503);
    BOOST_TEST(status_for_newcomer(service, "/") == 503);
    service.control().open_gate();
    BOOST_TEST(stream.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(silent_connections_do_not_lock_out_health_routes) {
    RunningService service({"--max-connections", "1"});
    Connection stream(service.port());
    begin_stream(service, stream);
    std::deque<Connection> silent;
    for (int i = 0; i < 100; ++i) silent.emplace_back(service.port());
    BOOST_TEST(status_for_newcomer(service, "/v1/health/live") == 200);
    BOOST_TEST(silent.front().at_end());
    service.control().open_gate();
    BOOST_TEST(stream.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(at_the_limit_only_a_websocket_without_a_response_gives_way) {
    RunningService service({"--max-connections", "2"});
    service.control().close_gate();
    WsClient busy(service.port());
    busy.send(create_message(R"("max_output_tokens":3)"));
    service.control().wait_until_held();
    WsClient idle(service.port());
    idle.send_frame(WsFrame::ping, "");
    BOOST_TEST(idle.read_frame().opcode == WsFrame::pong);
    BOOST_TEST(status_for_newcomer(service, "/v1/models") == 200);
    BOOST_TEST(idle.read_close() == 1013);
    service.control().open_gate();
    BOOST_TEST(type_of(busy.read_until("response.incomplete").back()) == "response.incomplete");
}

BOOST_AUTO_TEST_CASE(without_free_descriptors_an_idle_connection_gives_way) {
    RunningService service;
    Connection idle(service.port());
    BOOST_TEST(status_of(idle, "/v1/models") == 200);
    const int newcomer = socket(AF_INET, SOCK_STREAM, 0);
    {
        const NoDescriptors none;
        const sockaddr_in server{.sin_family = AF_INET,
                                 .sin_port = htons(service.port()),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)},
                                 .sin_zero = {}};
        BOOST_REQUIRE(connect(newcomer, reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0);
        BOOST_TEST(idle.at_end());
    }
    const std::string request = get_request("/v1/models");
    BOOST_TEST(std::cmp_equal(send(newcomer, request.data(), request.size(), 0), request.size()));
    std::array<char, 12> status{};
    BOOST_TEST(recv(newcomer, status.data(), status.size(), MSG_WAITALL) == 12);
    BOOST_TEST(std::string_view(status.data(), status.size()) == "HTTP/1.1 200");
    close(newcomer);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
