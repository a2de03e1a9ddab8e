// Tests, with real connections, what a connection costs, and how the server behaves when it has reached its
// connection limit.
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <deque>
#include <string>

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

// Requests a stream and reads its first event. The stream does not end until the test opens the gate
// of the engine.
void begin_stream(RunningService& service, Connection& connection) {
    service.control().close_gate();
    connection.send(chat_request("a", R"("max_tokens":20,"stream":true)"));
    service.control().wait_until_held();
    service.control().pass_one();
    connection.read_until("data: ");
}

// As long as an object of this class exists, this process cannot open another file descriptor.
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

// A client connection with a chosen source address. Only the constructor opens a file descriptor.
class RawClient {
  public:
    explicit RawClient(const char* source) {
        const sockaddr_in own = address(source, 0);
        const timeval limit{.tv_sec = 60, .tv_usec = 0};
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        BOOST_REQUIRE(bind(socket_, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
    }
    ~RawClient() { close(socket_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void connect(std::uint16_t port) const {
        const sockaddr_in server = address("127.0.0.1", port);
        BOOST_REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0);
    }
    // Returns the first bytes of the answer.
    std::string status_of(const std::string& path) const {
        const std::string request =
            "HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";  // an answer to HEAD has no body
        BOOST_REQUIRE(send(socket_, request.data(), request.size(), MSG_NOSIGNAL) > 0);
        std::string answer;
        char byte = 0;
        while (!answer.ends_with("\r\n\r\n") && recv(socket_, &byte, 1, 0) == 1) answer += byte;
        return answer.substr(0, 12);
    }

  private:
    static sockaddr_in address(const char* text, std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        inet_pton(AF_INET, text, &address.sin_addr);
        return address;
    }
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
};

BOOST_AUTO_TEST_SUITE(listener)

BOOST_AUTO_TEST_CASE(idle_connection_holds_at_most_9_kilobytes) {
    RunningService service;
    std::deque<RawClient> idle;
    // Returns the bytes of the heap in use when `count` clients have an answer and keep their connections.
    const auto heap_with = [&](std::size_t count) {
        while (idle.size() < count) {
            idle.emplace_back("127.0.0.1").connect(service.port());
            BOOST_REQUIRE(idle.back().status_of("/v1/version") == "HTTP/1.1 200");
        }
        return static_cast<std::int64_t>(mallinfo2().uordblks);
    };
    const auto before = heap_with(20);
    BOOST_TEST(heap_with(220) - before <= 200 * 9'000);
}

BOOST_AUTO_TEST_CASE(at_the_limit_the_oldest_idle_connection_gives_way) {
    RunningService service({"--max-connections", "2"});
    Connection first(service.port());
    Connection second(service.port());
    BOOST_TEST(status_of(first, "/v1/models") == 200);
    BOOST_TEST(status_of(second, "/v1/models") == 200);
    BOOST_TEST(status_of(first, "/v1/models") == 200);  // `second` has now been idle for longer than `first`
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

BOOST_AUTO_TEST_CASE(at_the_limit_answers_are_not_interrupted) {
    RunningService service({"--max-connections", "1"});
    Connection stream(service.port());
    begin_stream(service, stream);
    Connection refused(service.port());
    refused.send(get_request("/v1/models"));
    const auto answer = refused.read_answer();
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(answer.body.find("server_overloaded") != std::string::npos);
    BOOST_TEST(answer.has("Retry-After: "));
    BOOST_TEST(answer.has("retry-after-ms: 1"));  // 1000 to 1999
    BOOST_TEST(refused.at_end());
    service.control().open_gate();
    BOOST_TEST(stream.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(at_the_limit_an_unfinished_body_gives_way) {
    RunningService service({"--max-connections", "2"});
    const auto request = chat_request("b", R"("max_tokens":2)");
    Connection body(service.port());
    body.send(request.substr(0, request.size() - 1));
    Connection stream(service.port());
    begin_stream(service, stream);
    BOOST_TEST(status_for_newcomer(service, "/v1/models") == 200);
    BOOST_TEST(body.at_end());
    service.control().open_gate();
    BOOST_TEST(stream.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(health_routes_are_answered_at_the_limit) {
    RunningService service({"--max-connections", "1"});
    Connection stream(service.port());
    begin_stream(service, stream);
    for (const char* path : {"/health", "/v1/health/live", "/v1/health/ready"}) {
        Connection probe(service.port());
        BOOST_TEST(status_of(probe, path) == 200, path);
        BOOST_TEST(probe.at_end());  // now the place which is reserved for health routes is free again
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

BOOST_AUTO_TEST_CASE(at_the_limit_the_address_with_the_most_connections_loses_one) {
    RunningService service({"--max-connections", "3"});
    const RawClient oldest("127.0.0.2");
    oldest.connect(service.port());
    BOOST_TEST(oldest.status_of("/v1/models") == "HTTP/1.1 200");
    Connection first(service.port());
    BOOST_TEST(status_of(first, "/v1/models") == 200);
    Connection second(service.port());
    BOOST_TEST(status_of(second, "/v1/models") == 200);
    const RawClient newcomer("127.0.0.3");
    newcomer.connect(service.port());
    BOOST_TEST(first.at_end());
    BOOST_TEST(oldest.status_of("/v1/models") == "HTTP/1.1 200");
    BOOST_TEST(newcomer.status_of("/v1/models") == "HTTP/1.1 200");
    BOOST_TEST(status_of(second, "/v1/models") == 200);
}

BOOST_AUTO_TEST_CASE(without_free_descriptors_an_idle_connection_gives_way) {
    RunningService service;
    Connection idle(service.port());
    BOOST_TEST(status_of(idle, "/v1/models") == 200);
    const RawClient newcomer("127.0.0.1");
    {
        const NoDescriptors none;
        newcomer.connect(service.port());
        BOOST_TEST(idle.at_end());
    }
    BOOST_TEST(newcomer.status_of("/v1/models") == "HTTP/1.1 200");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
