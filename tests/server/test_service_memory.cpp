// Tests, with real connections, that --max-waiting-memory limits the memory which the server uses for slow
// clients and for clients with many requests.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <stdexcept>
#include <string>

#include "tests/support/keys.hpp"
#include "tests/support/running_service.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {

namespace {

constexpr std::int64_t limit = 1 << 20;  // the smallest valid value of --max-waiting-memory

// A server with two API keys and the smallest possible limit of waiting memory.
struct Fixture {
    explicit Fixture(FakeOptions options = {}) : service(flags(), std::move(options)) {}
    std::vector<std::string> flags() const {
        auto all = keys.flags();
        all.insert(all.end(), {"--max-waiting-memory", std::to_string(limit), "--max-num-seqs", "8"});
        return all;
    }
    std::string signed_by(std::size_t key, const std::string& request) const {
        return with_key(request, keys.secrets[key]);
    }
    HttpAnswer ask(std::size_t key, const std::string& request) {
        Connection connection(service.port());
        connection.send(signed_by(key, request));
        return connection.read_answer();
    }
    // Returns the value of a metric.
    std::int64_t metric(const std::string& name) {
        const std::string text = ask(1, get_request("/metrics")).body;
        const auto line = text.find("\n" + name + "{");
        return static_cast<std::int64_t>(std::stod(text.substr(text.find("} ", line) + 2)));
    }
    std::int64_t waiting_bytes() { return metric("solard_waiting_memory_bytes"); }
    // These two functions poll a metric until it has reached `value`. They throw if the metric never does.
    void wait_for_at_least(const std::string& name, std::int64_t value) {
        wait_for(name, [&](std::int64_t now) { return now >= value; });
    }
    void wait_for_at_most(const std::string& name, std::int64_t value) {
        wait_for(name, [&](std::int64_t now) { return now <= value; });
    }
    template <class Condition>
    void wait_for(const std::string& name, Condition condition) {
        constexpr int max_tries = 10'000;
        for (int tries = 0; tries < max_tries; ++tries) {
            if (condition(metric(name))) return;
        }
        throw std::runtime_error(name + " stays at " + std::to_string(metric(name)));
    }

    const Keys keys{{"", ""}};
    RunningService service;
};

// Returns a request whose header declares a body of `declared` bytes. Only the first `sent` bytes of the body
// follow.
std::string unfinished(std::size_t declared, std::size_t sent) {
    return "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(declared) + "\r\n\r\n" + std::string(sent, ' ');
}

// Returns a whole request whose body has at least `size` bytes.
std::string large_request(std::size_t size) {
    const std::string body = std::string(size, ' ') + R"({"prompt":"hi"})";
    return "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string error_code_of(const HttpAnswer& answer) {
    return std::string(boost::json::parse(answer.body).at("error").at("code").get_string());
}

std::string authorization(const Fixture& fixture, std::size_t key) {
    return "Authorization: Bearer " + fixture.keys.secrets[key];
}

// Returns options of a model with a long context.
FakeOptions long_context() {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 4096, .max_tokens_per_step = 512, .max_seqs_per_step = 8, .max_model_len = 32'000};
    return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(service_memory)

BOOST_AUTO_TEST_CASE(flood_of_unfinished_bodies_is_refused_and_another_key_is_served) {
    Fixture fixture;
    std::deque<Connection> flood;
    for (int i = 0; i < 100; ++i) {
        flood.emplace_back(fixture.service.port());
        flood.back().send(fixture.signed_by(0, unfinished(40'000, 30'000)));
        BOOST_TEST(fixture.waiting_bytes() <= limit);
    }
    fixture.wait_for_at_least("solard_waiting_memory_shed_total", 100 - limit / 30'000);
    BOOST_TEST(fixture.waiting_bytes() > limit / 2);
    BOOST_TEST(fixture.ask(1, large_request(200'000)).status == 200);
    BOOST_TEST(fixture.ask(1, chat_request("hi", R"("max_tokens":2)")).status == 200);
    BOOST_TEST(fixture.ask(1, get_request("/v1/health/live")).status == 200);
    std::size_t num_refused = 0;
    for (Connection& connection : flood) {
        connection.half_close();
        const auto answer = connection.read_answer();
        if (answer.status == 0) continue;
        ++num_refused;
        BOOST_TEST(answer.status == 503);
        BOOST_TEST(error_code_of(answer) == "server_overloaded");
        BOOST_TEST(answer.has("Retry-After: "));
        BOOST_TEST(answer.has("Connection: close"));
    }
    BOOST_TEST(num_refused >= 60U);
    fixture.wait_for_at_most("solard_waiting_memory_bytes", limit / 8);
}

BOOST_AUTO_TEST_CASE(stalled_body_is_refused_when_another_key_needs_the_room) {
    Fixture fixture;
    std::deque<Connection> stalled;
    for (int i = 0; i < 10; ++i) {
        stalled.emplace_back(fixture.service.port());
        stalled.back().send(fixture.signed_by(0, unfinished(90'000, 80'000)));
    }
    fixture.wait_for_at_least("solard_waiting_memory_bytes", 10 * 80'000);
    BOOST_TEST(fixture.metric("solard_waiting_memory_shed_total") == 0);
    BOOST_TEST(fixture.ask(1, large_request(500'000)).status == 200);
    BOOST_TEST(fixture.metric("solard_waiting_memory_shed_total") > 0);
    std::size_t num_refused = 0;
    for (Connection& connection : stalled) {
        connection.half_close();
        num_refused += connection.read_answer().status == 503 ? 1 : 0;
    }
    BOOST_TEST(num_refused >= 4U);
    BOOST_TEST(num_refused < 10U);
}

BOOST_AUTO_TEST_CASE(body_is_charged_as_it_arrives_and_not_by_its_content_length) {
    Fixture fixture;
    std::deque<Connection> slow;
    for (int i = 0; i < 20; ++i) {
        slow.emplace_back(fixture.service.port());
        slow.back().send(fixture.signed_by(0, unfinished(1'000'000, 1'000)));
    }
    fixture.wait_for_at_least("solard_waiting_memory_bytes", 20 * 1'000);
    BOOST_TEST(fixture.waiting_bytes() < 200'000);
    BOOST_TEST(fixture.metric("solard_waiting_memory_shed_total") == 0);
}

BOOST_AUTO_TEST_CASE(waiting_requests_of_sockets_stay_within_the_budget) {
    Fixture fixture(long_context());
    fixture.service.control().close_gate();
    std::deque<WsClient> sockets;
    const std::string text(20'000, 'x');
    for (int i = 0; i < 20; ++i) {
        sockets.emplace_back(fixture.service.port(),
                             std::vector<std::string>{authorization(fixture, 0),
                                                      "Sec-WebSocket-Protocol: solar.responses.v1"});
        sockets.back().send(create_message(R"("max_output_tokens":2)"));
        sockets.back().read_until("response.created");
        for (int waiting = 0; waiting < 4; ++waiting)
            sockets.back().send(create_message(R"("max_output_tokens":2)", text));
        sockets.back().send(R"({"type":"solar:ping"})");
        sockets.back().read_until("solar:pong");  // the pong comes after all messages have been read
        BOOST_TEST(fixture.waiting_bytes() <= limit);
    }
    BOOST_TEST(fixture.waiting_bytes() > limit / 2);
    BOOST_TEST(fixture.ask(1, large_request(200'000)).status == 200);
    BOOST_TEST(fixture.ask(1, get_request("/v1/health/live")).status == 200);
    fixture.service.control().open_gate();
    // Every socket gets one answer to each of its requests, in the order of the requests.
    std::size_t num_refused = 0;
    for (WsClient& socket : sockets) {
        for (int i = 0; i < 5; ++i) {
            auto event = socket.read();
            while (type_of(event) != "error" && !is_terminal(event)) event = socket.read();
            if (type_of(event) != "error") continue;
            BOOST_TEST(i > 0);
            BOOST_TEST(event.at("code") == "server_overloaded");
            ++num_refused;
        }
    }
    BOOST_TEST(num_refused >= 80 - limit / 20'000);
    BOOST_TEST(num_refused < 80U);
}

BOOST_AUTO_TEST_CASE(message_which_can_never_fit_is_refused_at_once_in_the_order_of_its_lane) {
    Fixture fixture;
    fixture.service.control().close_gate();
    WsClient socket(fixture.service.port(), {authorization(fixture, 0)});
    socket.send(create_message(R"("max_output_tokens":2)"));
    socket.read_until("response.created");
    const std::string text(400'000, 'x');
    const std::string short_last = R"("truncation":"auto","input":[{"role":"user","content":")" + text +
                                   R"("},{"role":"user","content":"hi"}],"max_output_tokens":2)";
    const std::string long_last =
        R"("truncation":"auto","input":[{"role":"user","content":")" + text + R"("}],"max_output_tokens":2)";
    const auto create = [](const std::string& fields) {
        return R"({"type":"response.create",)" + fields + "}";
    };
    socket.send(create(R"("input":")" + text + '"'));
    socket.send(create(R"("input":"hi","instructions":")" + text + '"'));
    socket.send(create(long_last));
    socket.send(create(R"("input":"hi","max_output_tokens":2,"stream_id":"b")"));
    while (type_of(socket.read()) != "response.created") {  // afterwards, all messages have been read
    }
    BOOST_TEST(fixture.waiting_bytes() < 100'000);
    socket.send(create(short_last));
    fixture.wait_for_at_least("solard_waiting_memory_bytes", 400'000);
    fixture.service.control().open_gate();
    std::vector<std::string> ends;
    while (ends.size() < 5) {
        const auto event = socket.read();
        if (event.contains("stream_id")) continue;
        if (type_of(event) == "error") ends.emplace_back(event.at("code").as_string());
        if (is_terminal(event) && type_of(event) != "error") ends.push_back(type_of(event));
    }
    const std::string too_long = "context_length_exceeded";
    BOOST_TEST((ends == std::vector<std::string>{"response.incomplete", too_long, too_long, too_long,
                                                 "response.incomplete"}));
}

BOOST_AUTO_TEST_CASE(largest_unfinished_message_ends_with_1013_when_another_key_needs_the_room) {
    Fixture fixture;
    WsClient small(fixture.service.port(), {authorization(fixture, 0)});
    small.send_frame(WsFrame::text, R"({"type":"response.create",)", false);
    // The buffer of a message doubles when it is full. So a message of 400,000 bytes is charged with up to
    // 800,000, which fits beside the body, and the sum is enough for the other key's body to exceed the
    // limit.
    Connection body(fixture.service.port());
    body.send(fixture.signed_by(0, unfinished(200'001, 200'000)));
    fixture.wait_for_at_least("solard_waiting_memory_bytes", 200'000);
    WsClient large(fixture.service.port(), {authorization(fixture, 0)});
    large.send_frame(WsFrame::text, std::string(400'000, ' '), false);
    fixture.wait_for_at_least("solard_waiting_memory_bytes", 600'000);
    BOOST_TEST(fixture.metric("solard_waiting_memory_shed_total") == 0);
    BOOST_TEST(fixture.ask(1, large_request(500'000)).status == 200);
    BOOST_TEST(large.read_close() == 1013);
    small.send_frame(WsFrame::continuation, R"("input":"hi","max_output_tokens":2})");
    small.read_until("response.incomplete");
}

BOOST_AUTO_TEST_CASE(generation_without_room_for_its_log_fails_and_others_go_on) {
    Fixture fixture(long_context());
    const auto answer =
        fixture.ask(0, chat_request("hi", R"("max_tokens":9000,"logprobs":true,"top_logprobs":20)"));
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(error_code_of(answer) == "server_overloaded");
    WsClient socket(fixture.service.port(), {authorization(fixture, 0)});
    socket.send(create_message(
        R"("max_output_tokens":9000,"include":["message.output_text.logprobs"],"top_logprobs":20)"));
    const auto failed = socket.read_until("response.failed").back();
    const auto& error = failed.at("response").at("error").as_object();
    const std::string_view message = error.at("message").as_string();
    BOOST_TEST(message.find("--max-waiting-memory") != std::string_view::npos);
    BOOST_TEST(fixture.ask(1, chat_request("hi", R"("max_tokens":2)")).status == 200);
    fixture.wait_for_at_most("solard_num_requests_running", 0);
}

BOOST_AUTO_TEST_CASE(answer_without_room_becomes_an_error) {
    Fixture fixture(long_context());
    std::string body = R"({"return_token_strs":true,"prompt":")";
    for (int i = 0; i < 80'000; ++i) body += "word ";
    body += R"("})";
    const auto answer = fixture.ask(
        0,
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body);
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(error_code_of(answer) == "server_overloaded");
}

BOOST_AUTO_TEST_CASE(slow_reader_of_a_large_answer_is_closed_when_another_key_needs_the_room) {
    Fixture fixture(long_context());
    std::string body = R"({"return_token_strs":true,"prompt":")";
    for (int i = 0; i < 40'000; ++i) body += "word ";
    body += R"("})";
    Connection slow(fixture.service.port(), 4096);
    slow.send(fixture.signed_by(
        0,
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body));
    slow.read_until("\r\n\r\n");  // the server has sent the header and is sending the body
    BOOST_TEST(fixture.waiting_bytes() > 500'000);
    const auto answer = fixture.ask(1, large_request(500'000));
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(!slow.read_answer().complete);
}

BOOST_AUTO_TEST_CASE(nothing_is_kept_of_a_response_which_is_not_stored) {
    Fixture fixture;
    const std::int64_t idle = fixture.waiting_bytes();
    const auto create = [](const std::string& store) {
        const std::string body = R"({"input":"hi","max_output_tokens":2,"store":)" + store + "}";
        return "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               "Content-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    BOOST_TEST(fixture.ask(0, create("false")).status == 200);
    BOOST_TEST(fixture.metric("solard_stored_responses") == 0);
    fixture.wait_for_at_most("solard_waiting_memory_bytes", idle);
    {
        // A lane keeps its newest response until the socket is closed, even if the response is not stored.
        WsClient socket(fixture.service.port(), {authorization(fixture, 0)});
        socket.send(create_message(R"("store":false,"max_output_tokens":2)"));
        socket.read_until("response.incomplete");
        BOOST_TEST(fixture.metric("solard_stored_responses") == 0);
        BOOST_TEST(fixture.waiting_bytes() > idle);
    }
    fixture.wait_for_at_most("solard_waiting_memory_bytes", idle);
    BOOST_TEST(fixture.ask(0, create("true")).status == 200);
    BOOST_TEST(fixture.ask(1, create("true")).status == 200);
    BOOST_TEST(fixture.metric("solard_stored_responses") == 2);
    BOOST_TEST(fixture.metric("solard_stored_response_owners") == 2);
    // The bookkeeping of the store needs at most 500 bytes for each owner. All other bytes of the store are
    // charged as waiting memory.
    fixture.wait_for_at_least("solard_waiting_memory_bytes",
                              fixture.metric("solard_stored_response_bytes") - 2 * 500);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
