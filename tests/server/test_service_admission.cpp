// Tests which answers clients without an API key get when the waiting queue is full.
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "server/generation/refusal_pacer.hpp"
#include "tests/support/running_service.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace {

constexpr const char* another_address = "127.0.0.2";

std::string response_request(std::string_view fields) {
    const std::string body = R"({"input":"c","max_output_tokens":2,)" + std::string(fields) + "}";
    return "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           "Content-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A server with three places. Clients from 127.0.0.1 use two places: one request runs, one waits.
struct Fixture {
    Fixture() {
        service.control().close_gate();
        running.send(chat_request("a", R"("max_tokens":2)"));
        wait_for_in_flight(service.port(), 1);
        service.control().wait_until_held();
        waiting.send(chat_request("b", R"("max_tokens":2)"));
        wait_for_in_flight(service.port(), 2);
    }
    // Waits until the test's own request has the third place. Then sends a request from another client, which
    // must displace the test's own request.
    void newcomer_comes() {
        wait_for_in_flight(service.port(), 3);
        newcomer.send(chat_request("d", R"("max_tokens":2)"));
    }
    void check_others_are_answered() {
        service.control().open_gate();
        for (Connection* connection : {&running, &waiting, &newcomer})
            BOOST_TEST(connection->read_answer().status == 200);
    }
    static void check_refusal(const HttpAnswer& answer) {
        BOOST_TEST(answer.status == 503);
        BOOST_TEST(answer.has("Retry-After: "));
        BOOST_TEST(answer.has("retry-after-ms: "));
        BOOST_TEST(boost::json::parse(answer.body).at("error").at("code") == "server_overloaded");
    }

    RunningService service{{"--max-num-seqs", "1", "--max-queued-requests", "2"}};
    Connection running{service.port()};
    Connection waiting{service.port()};
    Connection newcomer{service.port(), 0, another_address};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(service_admission)

BOOST_AUTO_TEST_CASE(newcomer_from_another_address_gets_the_place_of_the_youngest_waiting_request) {
    for (const char* fields : {R"("max_tokens":2)", R"("max_tokens":2,"stream":true)"}) {
        Fixture fixture;
        Connection victim(fixture.service.port());
        victim.send(chat_request("c", fields));
        fixture.newcomer_comes();
        Fixture::check_refusal(victim.read_answer());
        Connection metrics(fixture.service.port());
        metrics.send(get_request("/metrics"));
        const auto text = metrics.read_answer().body;
        const auto sample = text.substr(text.find("\nsolard_requests_displaced_total{") + 1);
        BOOST_TEST(sample.substr(0, sample.find('\n')).ends_with("} 1"));
        fixture.check_others_are_answered();
        victim.send(chat_request("c", R"("max_tokens":2)"));  // the connection must still be usable
        BOOST_TEST(victim.read_answer().status == 200);
    }
}

BOOST_AUTO_TEST_CASE(displaced_response_ends_with_503_streamed_or_not) {
    for (const char* fields : {R"("stream":false)", R"("stream":true)"}) {
        Fixture fixture;
        Connection victim(fixture.service.port());
        victim.send(response_request(fields));
        fixture.newcomer_comes();
        Fixture::check_refusal(victim.read_answer());
        fixture.check_others_are_answered();
        victim.send(response_request(fields));  // the connection must still be usable
        BOOST_TEST(victim.read_answer().status == 200);
    }
}

BOOST_FIXTURE_TEST_CASE(displaced_response_on_a_websocket_ends_with_response_failed, Fixture) {
    WsClient socket(service.port());
    socket.send(create_message());
    newcomer_comes();
    const auto failed = socket.read_until("response.failed").back();
    const auto& message = failed.at("response").at("error").at("message").as_string();
    BOOST_TEST(message.find("lost its place in the queue") != std::string::npos);
    check_others_are_answered();
}

BOOST_AUTO_TEST_CASE(refusals_on_a_socket_are_paced_and_delay_only_their_lanes) {
    RunningService full({"--max-num-seqs", "1", "--max-queued-requests", "1", "--ws-max-in-flight", "200",
                         "--ws-max-lanes", "200"});
    full.control().close_gate();
    Connection first(full.port());
    first.send(chat_request("a", R"("max_tokens":2)"));
    Connection second(full.port());
    second.send(chat_request("b", R"("max_tokens":2)"));
    wait_for_in_flight(full.port(), 2);
    WsClient socket(full.port(), {"Sec-WebSocket-Protocol: solar.responses.v1"});
    constexpr int num_paced = 100;
    constexpr int num_refusals = RefusalPacer::burst + num_paced;
    const auto begin = RefusalPacer::Clock::now();
    for (int i = 0; i < num_refusals; ++i)
        socket.send(create_message(R"("stream_id":"l)" + std::to_string(i) + '"'));
    socket.send(R"({"type":"solar:ping","t":1})");
    int num_before_pong = num_refusals;
    int num_received = 0;
    while (num_received < num_refusals) {
        const auto event = socket.read();
        if (type_of(event) == "solar:pong") num_before_pong = num_received;
        if (type_of(event) == "error") ++num_received;
    }
    BOOST_TEST(num_before_pong < num_refusals);
    BOOST_TEST((RefusalPacer::Clock::now() - begin >= num_paced * RefusalPacer::interval));
    full.control().open_gate();
    BOOST_TEST(first.read_answer().status == 200);
    BOOST_TEST(second.read_answer().status == 200);
}

BOOST_FIXTURE_TEST_CASE(newcomer_from_the_same_address_with_the_same_use_is_refused, Fixture) {
    Connection third(service.port());
    third.send(chat_request("c", R"("max_tokens":2)"));
    wait_for_in_flight(service.port(), 3);
    Connection refused(service.port());
    refused.send(chat_request("d", R"("max_tokens":2)"));
    check_refusal(refused.read_answer());
    newcomer.send(chat_request("d", R"("max_tokens":2)"));
    check_refusal(third.read_answer());
    check_others_are_answered();
}

BOOST_AUTO_TEST_CASE(answer_that_has_begun_keeps_its_place) {
    const auto chat = chat_request("b", R"("max_tokens":2,"stream":true)");
    const auto response = response_request(R"("stream":true)");
    for (const auto& [request, last_event] :
         {std::pair{chat, "data: [DONE]"}, {response, "event: response.incomplete"}}) {
        RunningService slow(
            {"--max-num-seqs", "1", "--max-queued-requests", "1", "--keep-alive-interval", "0.05"});
        slow.control().close_gate();
        Connection first(slow.port());
        first.send(chat_request("a", R"("max_tokens":2)"));
        wait_for_in_flight(slow.port(), 1);
        Connection stream(slow.port());
        stream.send(request);
        stream.read_until("\n\n");
        Connection late(slow.port(), 0, another_address);
        late.send(chat_request("c", R"("max_tokens":2)"));
        Fixture::check_refusal(late.read_answer());
        slow.control().open_gate();
        BOOST_TEST(stream.read_answer().body.find(last_event) != std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
