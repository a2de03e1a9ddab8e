// Tests the WebSocket of /v1/responses from its frames to the engine and back. A FakeBackend replaces the
// model, and the test decides when each step of the engine may run.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <deque>
#include <random>
#include <set>

#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace json = boost::json;

namespace {

const std::vector<std::string> with_extensions{"Sec-WebSocket-Protocol: solar.responses.v1"};

// Returns a line such as "0 response.created" or "error invalid_value".
std::string shown(const json::object& event) {
    const auto* number = event.if_contains("sequence_number");
    const std::string what =
        type_of(event) == "error" ? "error " + std::string(event.at("code").as_string()) : type_of(event);
    return (number != nullptr ? std::to_string(number->to_number<int>()) + " " : "") + what;
}

std::vector<std::string> all_shown(const std::vector<json::object>& events) {
    std::vector<std::string> lines;
    for (const auto& event : events) lines.push_back(shown(event));
    return lines;
}

std::string lane_of(const json::object& event) {
    const auto* lane = event.if_contains("stream_id");
    return lane != nullptr ? std::string(lane->as_string()) : "";
}

std::string code_of(const json::object& event) {
    BOOST_REQUIRE(type_of(event) == "error");
    return std::string(event.at("code").as_string());
}

std::string text_of(const std::vector<json::object>& events) {
    std::string text;
    for (const auto& event : events)
        if (type_of(event) == "response.output_text.delta") text += event.at("delta").as_string();
    return text;
}

std::string final_text(const json::object& terminal) {
    const auto& output = terminal.at("response").at("output").as_array();
    return output.empty() ? "" : std::string(output.at(0).at("content").at(0).at("text").as_string());
}

std::string id_of(const json::object& event) {
    return std::string(event.at("response_id").as_string());
}

// Reads all events of one response. No other response may send events on the socket.
std::vector<json::object> read_response(WsClient& client) {
    std::vector<json::object> events;
    do events.push_back(client.read());
    while (!is_terminal(events.back()) && type_of(events.back()) != "error");
    return events;
}

std::string cancel_message(std::string_view fields) {
    return R"({"type":"response.cancel",)" + std::string(fields) + "}";
}

std::string attach_message(const std::string& id, std::int64_t after, std::string_view fields = "") {
    return R"({"type":"solar:attach","response_id":")" + id + R"(","starting_after":)" +
           std::to_string(after) + std::string(fields) + "}";
}

// Returns options of a model for prompts and answers of thousands of tokens.
FakeOptions long_context() {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 2048, .max_tokens_per_step = 512, .max_seqs_per_step = 8, .max_model_len = 16'000};
    return options;
}

// The flags for a client which reads nothing until a long answer is complete, on a slow machine too.
const std::vector<std::string> patient{"--write-timeout", "3600"};

}  // namespace

BOOST_AUTO_TEST_SUITE(ws_session)

BOOST_AUTO_TEST_CASE(response_has_all_events_in_order_with_its_lane) {
    RunningService service;
    WsClient client(service.port());
    for (const std::string lane : {"", "tab1"}) {
        client.send(create_message(R"("max_output_tokens":2)" +
                                   (lane.empty() ? "" : R"(,"stream_id":")" + lane + '"')));
        const auto events = read_response(client);
        const std::set<std::string> known{"0 response.created",
                                          "1 response.queued",
                                          "2 response.in_progress",
                                          "3 response.output_item.added",
                                          "4 response.content_part.added",
                                          "5 response.output_text.delta",
                                          "6 response.output_text.delta",
                                          "7 response.output_text.done",
                                          "8 response.content_part.done",
                                          "9 response.output_item.done",
                                          "10 response.incomplete"};
        const auto lines = all_shown(events);
        for (const auto& line : lines) BOOST_TEST(known.contains(line), line);
        BOOST_TEST(std::ranges::is_sorted(events, {}, [](const json::object& event) {
            return event.at("sequence_number").to_number<int>();
        }));
        BOOST_TEST(lines.size() >= 9U);
        BOOST_TEST(text_of(events) == service.reference_text("hi", 2));
        BOOST_TEST(final_text(events.back()) == text_of(events));
        for (const auto& event : events) {
            BOOST_TEST(lane_of(event) == lane);
            BOOST_TEST(id_of(event) == id_of(events.front()));
        }
        const auto& telemetry = events.back().at("response").at("solar").as_object();
        for (const auto* name : {"queue_ms", "prefill_ms", "ttft_ms", "total_ms"})
            BOOST_TEST(telemetry.at(name).to_number<double>() >= 0);
        BOOST_TEST(telemetry.at("seed") == 0);
        BOOST_TEST(telemetry.at("stop_reason") == "max_output_tokens");
    }
}

BOOST_AUTO_TEST_CASE(lane_answers_in_order_and_lanes_run_at_the_same_time) {
    RunningService service;
    WsClient client(service.port());
    for (const auto* lane : {"a", "b"}) {
        for (const auto* input : {"one", "two", "three"})
            client.send(
                create_message(R"("max_output_tokens":5,"stream_id":")" + std::string(lane) + '"', input));
    }
    std::map<std::string, std::vector<std::string>> texts;
    std::map<std::string, std::string> open;  // name of a lane -> id of the response which runs on this lane
    std::size_t most_open = 0;
    for (int ends = 0; ends < 6;) {
        const auto event = client.read();
        const auto lane = lane_of(event);
        if (type_of(event) == "response.created") {
            BOOST_TEST(!open.contains(lane));
            open[lane] = id_of(event);
        }
        BOOST_TEST(open[lane] == id_of(event));
        most_open = std::max(most_open, open.size());
        if (!is_terminal(event)) continue;
        texts[lane].push_back(final_text(event));
        open.erase(lane);
        ++ends;
    }
    BOOST_TEST(most_open == 2);
    for (const auto* lane : {"a", "b"}) {
        BOOST_REQUIRE(texts[lane].size() == 3);
        std::size_t i = 0;
        for (const auto* input : {"one", "two", "three"})
            BOOST_TEST(texts[lane][i++] == service.reference_text(input, 5));
    }
}

BOOST_AUTO_TEST_CASE(error_comes_at_the_turn_of_its_request_and_nothing_else_follows_for_it) {
    RunningService service;
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":3)"));
    client.send(create_message(R"("top_p":7,"event_id":"wrong")"));
    client.send(create_message(R"("max_output_tokens":3)", "next"));
    const auto first = read_response(client);
    BOOST_TEST(is_terminal(first.back()));
    const auto second = read_response(client);
    BOOST_TEST((all_shown(second) == std::vector<std::string>{"error invalid_value"}));
    BOOST_TEST(second.back().at("event_id") == "wrong");
    BOOST_TEST(second.back().at("param") == "top_p");
    BOOST_TEST(final_text(read_response(client).back()) == service.reference_text("next", 3));
}

BOOST_AUTO_TEST_CASE(cancel_by_id_by_lane_and_of_waiting_requests) {
    RunningService service({"--ws-max-in-flight", "2"});
    service.control().close_gate();
    WsClient client(service.port());
    for (const auto* lane : {"a", "b", "c"})
        client.send(
            create_message(R"("max_output_tokens":400,"stream_id":")" + std::string(lane) + '"', lane));
    client.send(create_message(R"("stream_id":"a","event_id":"a2")"));
    std::map<std::string, std::string> ids;
    while (ids.size() < 2) {
        const auto event = client.read();
        ids[lane_of(event)] = id_of(event);
    }
    client.send(cancel_message(R"("response_id":")" + ids["b"] + '"'));
    auto events = client.read_until("response.incomplete");
    BOOST_TEST(id_of(events.back()) == ids["b"]);
    BOOST_TEST(events.back().at("response").at("status") == "cancelled");
    BOOST_TEST(events.back().at("response").at("solar").at("stop_reason") == "cancelled");
    // Now the request on lane c begins. The client cancels this request by the name of its lane.
    events = client.read_until("response.created");
    BOOST_TEST(lane_of(events.back()) == "c");
    client.send(cancel_message(R"("stream_id":"c")"));
    events = client.read_until("response.incomplete");
    BOOST_TEST(lane_of(events.back()) == "c");
    client.send(cancel_message(R"("stream_id":"a","queued":true)"));
    events = client.read_until("error");
    BOOST_TEST(lane_of(events.back()) == "a");
    BOOST_TEST(code_of(events.back()) == "request_cancelled");
    BOOST_TEST(events.back().at("status") == 499);
    BOOST_TEST(events.back().at("event_id") == "a2");
    BOOST_TEST(shown(events.at(events.size() - 2)).ends_with("response.incomplete"));
    for (const auto& [message, code] :
         {std::pair{cancel_message(R"("response_id":"resp_x")"), "response_not_found"},
          {cancel_message(R"("response_id":")" + ids["b"] + '"'), "response_already_completed"},
          {cancel_message(R"("response_id":"resp_x","queued":true)"), "response_not_found"},
          {cancel_message(R"("stream_id":"a")"), "response_already_completed"},
          {cancel_message(R"("stream_id":"never")"), "response_not_found"}}) {
        client.send(message);
        BOOST_TEST(code_of(client.read()) == code);
    }
    service.control().open_gate();
    wait_for_free_blocks(service.port());
}

BOOST_AUTO_TEST_CASE(cancelled_response_ends_with_the_text_so_far_and_other_lane_continues) {
    RunningService service;
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":400,"stream_id":"a")", "one"));
    client.send(create_message(R"("max_output_tokens":20,"stream_id":"b")", "two"));
    std::vector<json::object> of_a;
    const auto read = [&](const std::string& until_lane, std::string_view until_type) {
        for (;;) {
            auto event = client.read();
            if (lane_of(event) == "a") of_a.push_back(event);
            if (lane_of(event) == until_lane && type_of(event) == until_type) return event;
        }
    };
    for (int i = 0; i < 4; ++i) service.control().pass_one();
    read("a", "response.output_text.delta");
    client.send(cancel_message(R"("stream_id":"a")"));
    const auto end = read("a", "response.incomplete");
    BOOST_TEST(end.at("response").at("status") == "cancelled");
    const auto text = text_of(of_a);
    BOOST_TEST(!text.empty());
    BOOST_TEST(final_text(end) == text);
    BOOST_TEST(service.reference_text("one", 400).starts_with(text));
    const auto lines = all_shown(of_a);
    const std::vector<std::string> ends{"response.output_text.done", "response.content_part.done",
                                        "response.output_item.done", "response.incomplete"};
    BOOST_REQUIRE(lines.size() > 4);
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(lines[lines.size() - 4 + i].ends_with(ends[i]));
    service.control().open_gate();
    BOOST_TEST(final_text(read("b", "response.incomplete")) == service.reference_text("two", 20));
    wait_for_free_blocks(service.port());
}

BOOST_AUTO_TEST_CASE(lost_client_frees_its_blocks_within_one_step_in_every_phase) {
    RunningService service({"--max-num-seqs", "2"});
    auto& control = service.control();
    const std::string long_prompt(300, 'x');
    // The client disconnects at three different times: during prefill, during decoding, and after the first
    // response has ended but before the client has read a terminal event.
    for (const int passes : {0, 3, 400}) {
        control.close_gate();
        {
            WsClient client(service.port());
            for (int lane = 0; lane < 4; ++lane)
                client.send(create_message(R"("max_output_tokens":)" + std::to_string(lane == 0 ? 5 : 90) +
                                               R"(,"stream_id":"l)" + std::to_string(lane) + '"',
                                           long_prompt));
            wait_for_in_flight(service.port(), 4);
            for (int i = 0; i < std::min(passes, 8); ++i) control.pass_one();
            control.wait_until_held();
            client.drop();
        }
        wait_for_in_flight(service.port(), 0);  // the disconnect is noticed although the step is blocked
        const auto before = control.steps();
        control.open_gate();
        wait_for_free_blocks(service.port());
        BOOST_TEST(control.steps() - before <= 1);
    }
}

BOOST_AUTO_TEST_CASE(cancelling_half_of_10000_requests_at_random_leaves_the_others_and_the_engine_intact) {
    FakeOptions options;
    options.capacity.num_blocks = 2048;
    options.capacity.max_model_len = 1200;
    RunningService service({}, options);
    std::mt19937 random(20261125);  // NOLINT: every run is the same
    constexpr int num_requests = 10'000;
    constexpr int max_unanswered = 40;  // requests which are sent and not yet answered
    constexpr int short_answer = 12;
    constexpr int long_answer = 1000;  // most of these answers are cancelled before their end
    const std::vector<std::string> inputs{"one", "two", "three", "four", "five"};
    std::vector<std::string> short_texts;
    std::vector<std::string> long_texts;
    for (const auto& input : inputs) {
        short_texts.push_back(service.reference_text(input, short_answer));
        long_texts.push_back(service.reference_text(input, long_answer));
    }
    struct Sent {
        std::size_t input;
        std::string cancel_at;  // type of the event at which the request is cancelled; empty if never
    };
    std::map<std::string, std::deque<Sent>> lanes;
    WsClient client(service.port());
    int sent = 0;
    int ended = 0;
    int cancelled = 0;
    int wrong = 0;
    while (ended < num_requests) {
        for (; sent < num_requests && sent - ended < max_unanswered; ++sent) {
            const std::string lane = "l" + std::to_string(random() % 32);
            const std::size_t input = random() % inputs.size();
            const std::vector<std::string> moments{"", "", "response.created", "response.output_text.delta"};
            const std::string moment = moments[random() % moments.size()];
            lanes[lane].push_back({input, moment});
            client.send(create_message(R"("stream_id":")" + lane + R"(","max_output_tokens":)" +
                                           std::to_string(moment.empty() ? short_answer : long_answer),
                                       inputs[input]));
        }
        const auto event = client.read();
        if (type_of(event) == "error" && code_of(event) == "response_already_completed") continue;
        auto& line = lanes[lane_of(event)];
        BOOST_REQUIRE(!line.empty());
        Sent& request = line.front();
        if (type_of(event) == request.cancel_at) {
            client.send(cancel_message(R"("response_id":")" + id_of(event) + '"'));
            request.cancel_at = "done";
        }
        if (!is_terminal(event)) continue;
        ++ended;
        const bool was_cancelled = event.at("response").at("status") == "cancelled";
        cancelled += was_cancelled ? 1 : 0;
        const auto& whole = (request.cancel_at.empty() ? short_texts : long_texts)[request.input];
        const bool right = was_cancelled ? request.cancel_at == "done" && whole.starts_with(final_text(event))
                                         : final_text(event) == whole;
        wrong += right ? 0 : 1;
        line.pop_front();
    }
    BOOST_TEST(wrong == 0);
    // The client cancels half of the requests. On a busy machine, some of these requests are complete before
    // the cancellation arrives.
    BOOST_TEST(cancelled > num_requests / 4);
    wait_for_free_blocks(service.port());
    const auto engine = metadata(service.port()).at("engine").as_object();
    for (const auto* name : {"num_running", "num_waiting", "in_flight"}) BOOST_TEST(engine.at(name) == 0);
}

BOOST_AUTO_TEST_CASE(resumable_response_outlives_its_socket_and_replays_the_same_text_from_every_event) {
    RunningService service;
    auto& control = service.control();
    control.close_gate();
    std::string id;
    {
        WsClient first(service.port());
        first.send(create_message(R"("max_output_tokens":20,"solar":{"resumable":true})"));
        for (int i = 0; i < 5; ++i) control.pass_one();
        id = id_of(first.read_until("response.output_text.delta").back());
        first.drop();
    }
    control.open_gate();
    wait_for_free_blocks(service.port());
    const std::string whole = service.reference_text("hi", 20);
    WsClient client(service.port());
    client.send(attach_message(id, -1, R"(,"stream_id":"again")"));
    const auto all = read_response(client);
    BOOST_TEST(text_of(all) == whole);
    BOOST_TEST(lane_of(all.front()) == "again");
    const auto last = all.back().at("sequence_number").to_number<int>();
    BOOST_TEST(last == 5 + 20 + 3);
    for (int cursor = 0; cursor < last; ++cursor) {
        client.send(attach_message(id, cursor));
        const auto rest = read_response(client);
        BOOST_TEST(rest.front().at("sequence_number").to_number<int>() > cursor);
        BOOST_TEST(final_text(rest.back()) == whole);
        const std::string text = text_of(rest);
        BOOST_TEST(whole.ends_with(text));
        if (cursor >= 4 && cursor < 4 + 20)
            BOOST_TEST(service.reference_text("hi", cursor - 4) + text == whole, "after " << cursor);
    }
    // A client which already has every event gets an error, because the server has no further event to send.
    for (const int cursor : {last, last + 1}) {
        client.send(attach_message(id, cursor));
        BOOST_TEST(code_of(client.read()) == "response_already_completed");
    }
    control.close_gate();
    client.send(create_message(R"("max_output_tokens":2,"stream_id":"running")"));
    const auto running = id_of(client.read());
    client.send(attach_message(running, 1000));
    BOOST_TEST(code_of(client.read_until("error").back()) == "invalid_value");
}

BOOST_AUTO_TEST_CASE(resumable_response_without_readers_is_cancelled_after_resume_timeout) {
    RunningService service({"--resume-timeout", "0.05"});
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":400,"solar":{"resumable":true})"));
    const auto id = id_of(client.read());
    client.drop();
    wait_for_in_flight(service.port(), 0);
    WsClient again(service.port());
    again.send(attach_message(id, -1));
    BOOST_TEST(read_response(again).back().at("response").at("status") == "cancelled");
}

BOOST_AUTO_TEST_CASE(attach_and_detach_messages) {
    RunningService service;
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":10,"stream_id":"a","solar":{"resumable":true})"));
    client.send(create_message(R"("max_output_tokens":10,"stream_id":"b")"));
    std::map<std::string, std::string> ids;
    while (ids.size() < 2) {
        const auto event = client.read();
        ids[lane_of(event)] = id_of(event);
    }
    const auto detach = [](const std::string& id) {
        return R"({"type":"solar:detach","response_id":")" + id + R"("})";
    };
    client.send(attach_message(ids["a"], -1, R"(,"stream_id":"b")"));
    BOOST_TEST(code_of(client.read_until("error").back()) == "lane_busy");
    client.send(detach(ids["b"]));
    BOOST_TEST(code_of(client.read_until("error").back()) == "invalid_value");
    client.send(detach("resp_x"));
    BOOST_TEST(code_of(client.read_until("error").back()) == "response_not_found");
    client.send(attach_message("resp_x", -1, R"(,"stream_id":"c")"));
    BOOST_TEST(code_of(client.read_until("error").back()) == "response_not_found");
    client.send(detach(ids["a"]));
    client.send(detach(ids["a"]));  // fails, because the response is no longer on a lane
    BOOST_TEST(code_of(client.read_until("error").back()) == "response_not_found");
    // Lane a is free now. Another socket can still read the events of the detached response.
    client.send(create_message(R"("max_output_tokens":1,"stream_id":"a")", "next"));
    WsClient other(service.port());
    other.send(attach_message(ids["a"], -1));
    service.control().open_gate();
    BOOST_TEST(final_text(read_response(other).back()) == service.reference_text("hi", 10));
    int ends = 0;
    while (ends < 2) {
        const auto event = client.read();
        BOOST_TEST(id_of(event) != ids["a"]);
        ends += is_terminal(event) ? 1 : 0;
    }
}

BOOST_AUTO_TEST_CASE(continuing_stored_responses_and_unstored_ones_of_the_same_socket) {
    RunningService service;
    WsClient client(service.port());
    const auto run = [&](const std::string& fields) {
        client.send(create_message(R"("max_output_tokens":4)" + fields));
        return read_response(client).back();
    };
    const auto continued = [](const std::string& id) { return R"(,"previous_response_id":")" + id + '"'; };
    const auto input_tokens = [](const json::object& terminal) {
        return terminal.at("response").at("usage").at("input_tokens").to_number<int>();
    };
    const auto stored = run("");
    const auto child = run(continued(id_of(stored)));
    BOOST_TEST(input_tokens(child) > input_tokens(stored));
    BOOST_TEST(child.at("response").at("previous_response_id").as_string() == json::string(id_of(stored)));
    service.control().close_gate();
    client.send(create_message(R"("max_output_tokens":400)"));
    for (int i = 0; i < 3; ++i) service.control().pass_one();
    const auto running = id_of(client.read_until("response.output_text.delta").back());
    client.send(cancel_message(R"("response_id":")" + running + '"'));
    const auto cut = read_response(client).back();
    BOOST_TEST(cut.at("response").at("status") == "cancelled");
    service.control().open_gate();
    // If a request continues `cut`, its input contains the partial answer of `cut`.
    BOOST_TEST(input_tokens(run(continued(id_of(cut)))) > input_tokens(stored));
    const auto unstored = run(R"(,"store":false)");
    BOOST_TEST(code_of(run(continued(id_of(unstored)))) == "invalid_store_transition");
    // The request above should have continued `unstored` on the same lane, but failed. Therefore, the lane
    // has forgotten `unstored`.
    BOOST_TEST(code_of(run(R"(,"store":false)" + continued(id_of(unstored)))) ==
               "previous_response_not_found");
    const auto lost = run(R"(,"store":false)");
    BOOST_TEST(code_of(run(R"(,"store":false,"top_p":9)" + continued(id_of(lost)))) == "invalid_value");
    BOOST_TEST(code_of(run(R"(,"store":false)" + continued(id_of(lost)))) == "previous_response_not_found");
    const auto parent = run(R"(,"store":false)");
    BOOST_TEST(code_of(run(R"(,"stream_id":"fork","top_p":9)" + continued(id_of(parent)))) ==
               "invalid_value");
    const auto fork = run(R"(,"stream_id":"fork","store":false)" + continued(id_of(parent)));
    BOOST_TEST(input_tokens(fork) == input_tokens(child));
    BOOST_TEST(is_terminal(run(R"(,"store":false)" + continued(id_of(parent)))));
    // A lane remembers only its newest response.
    BOOST_TEST(code_of(run(R"(,"store":false)" + continued(id_of(parent)))) == "previous_response_not_found");
    WsClient other(service.port());
    other.send(create_message(continued(id_of(fork)).substr(1)));
    const auto refused = other.read();
    BOOST_TEST(code_of(refused) == "previous_response_not_found");
    BOOST_TEST(refused.at("param") == "previous_response_id");
    other.send(create_message(R"("max_output_tokens":4)" + continued(id_of(stored))));
    BOOST_TEST(is_terminal(read_response(other).back()));
}

BOOST_AUTO_TEST_CASE(prompt_can_be_computed_first_and_continued) {
    RunningService service;
    WsClient client(service.port());
    client.send(create_message(R"("generate":false,"instructions":"be brief")", std::string(100, 'a')));
    const auto warm = read_response(client);
    auto lines = all_shown(warm);
    std::erase(lines, "1 response.queued");
    BOOST_REQUIRE(lines.size() == 3);
    BOOST_TEST(lines[0] == "0 response.created");
    BOOST_TEST(lines[1] == "2 response.in_progress");
    BOOST_TEST(lines[2].ends_with("response.completed"));
    const auto& response = warm.back().at("response").as_object();
    BOOST_TEST(response.at("output").as_array().empty());
    BOOST_TEST(response.at("usage").at("output_tokens") == 0);
    client.send(create_message(R"("max_output_tokens":3,"instructions":"be brief","previous_response_id":")" +
                               id_of(warm.back()) + '"'));
    const auto next = read_response(client).back();
    BOOST_TEST(
        next.at("response").at("usage").at("input_tokens_details").at("cached_tokens").to_number<int>() > 0);
    BOOST_TEST(next.at("response").at("usage").at("output_tokens") == 3);
    // Codex sends no further message: an empty list asks for the answer to the prompt as it is.
    client.send(R"({"type":"response.create","max_output_tokens":3,"temperature":0,"input":[],)"
                R"("instructions":"be brief","previous_response_id":")" +
                id_of(warm.back()) + R"("})");
    const auto now = read_response(client).back();
    BOOST_TEST(now.at("response").at("usage").at("input_tokens") == response.at("usage").at("input_tokens"));
    BOOST_TEST(now.at("response").at("usage").at("output_tokens") == 3);
}

// Each part continues the text of the part before. The prompt of the last request has the whole text in one
// message.
BOOST_AUTO_TEST_CASE(continued_message_stays_one_message_in_the_conversation) {
    RunningService service;
    WsClient client(service.port());
    const auto ask = [&](const std::string& input, const std::string& fields) {
        client.send(R"({"type":"response.create","max_output_tokens":4,"temperature":0,)" + fields +
                    R"("input":)" + input + "}");
        return read_response(client).back().at("response").as_object();
    };
    const auto tokens = [](const json::object& response) {
        return response.at("usage").at("input_tokens").to_number<int>();
    };
    const auto begun = ask(R"([{"role":"user","content":"q"},{"role":"assistant","content":"An"}])",
                           R"("continue_final_message":true,)");
    const std::string text(begun.at("output").at(0).at("content").at(0).at("text").as_string());
    const auto next = ask(R"([{"role":"user","content":"more"}])",
                          R"("previous_response_id":")" + std::string(begun.at("id").as_string()) + R"(",)");
    const auto whole = ask(R"([{"role":"user","content":"q"},{"role":"assistant","content":)" +
                               json::serialize("An" + text) + R"(},{"role":"user","content":"more"}])",
                           "");
    BOOST_TEST(tokens(next) == tokens(whole));
}

BOOST_AUTO_TEST_CASE(truncation_auto_drops_the_oldest_messages) {
    FakeOptions options;
    options.capacity.max_model_len = 256;
    RunningService service({}, options);
    WsClient client(service.port());
    std::string input = "[";
    for (int i = 0; i < 30; ++i)
        input += R"({"role":")" + std::string(i % 2 == 0 ? "user" : "assistant") +
                 R"(","content":"message )" + std::to_string(i) + R"( of many"},)";
    input += R"({"role":"user","content":"last"}])";
    const auto message = [&](const std::string& truncation) {
        return R"({"type":"response.create","temperature":0,"max_output_tokens":8,"instructions":"sys",)" +
               truncation + R"("input":)" + input + "}";
    };
    client.send(message(""));
    BOOST_TEST(code_of(client.read()) == "context_length_exceeded");
    client.send(message(R"("truncation":"auto",)"));
    const auto terminal = read_response(client).back();
    BOOST_REQUIRE(is_terminal(terminal));
    const auto used = terminal.at("response").at("usage").at("input_tokens").to_number<int>();
    BOOST_TEST(used <= 256 - 8);
    BOOST_TEST(used > 200);  // no more messages were dropped than necessary
    BOOST_TEST(terminal.at("response").at("truncation") == "auto");
    client.send(R"({"type":"response.create","truncation":"auto","input":")" + std::string(5000, 'x') +
                R"("})");
    BOOST_TEST(code_of(client.read()) == "context_length_exceeded");  // the last message is never dropped
}

BOOST_AUTO_TEST_CASE(truncation_auto_drops_nothing_that_leaves_a_quarter_of_the_context) {
    RunningService service;  // 512 tokens
    WsClient client(service.port());
    std::string input = "[";
    for (int i = 0; i < 10; ++i)
        input += R"({"role":")" + std::string(i % 2 == 0 ? "user" : "assistant") + R"(","content":"turn )" +
                 std::to_string(i) + R"("},)";
    input += R"({"role":"user","content":"last"}])";
    const auto used = [&](const std::string& fields) {
        client.send(R"({"type":"response.create","temperature":0,)" + fields + R"("input":)" + input + "}");
        return read_response(client).back().at("response").at("usage").at("input_tokens").to_number<int>();
    };
    const int all = used(R"("max_output_tokens":1,)");
    BOOST_TEST(all <= 512 - 512 / 4);
    BOOST_TEST(used(R"("max_output_tokens":4096,"truncation":"auto",)") == all);
}

BOOST_AUTO_TEST_CASE(request_with_the_same_idempotency_key_gets_the_same_response) {
    RunningService service;
    service.control().close_gate();
    const std::string fields = R"("max_output_tokens":6,"solar":{"idempotency_key":"k1","resumable":true})";
    WsClient first(service.port());
    first.send(create_message(fields));
    const auto id = id_of(first.read());
    first.drop();
    WsClient second(service.port());
    second.send(create_message(fields));
    BOOST_TEST(id_of(second.read()) == id);
    second.send(create_message(R"("stream_id":"b","max_output_tokens":6,"solar":{"idempotency_key":"k2"})"));
    wait_for_in_flight(service.port(), 2);
    service.control().open_gate();
    std::set<std::string> ids;
    for (int ends = 0; ends < 2;) {
        const auto event = second.read();
        ids.insert(id_of(event));
        ends += is_terminal(event) ? 1 : 0;
    }
    BOOST_TEST(ids.size() == 2);
}

BOOST_AUTO_TEST_CASE(equal_requests_at_the_same_time_with_one_idempotency_key_get_one_response) {
    RunningService service({}, long_context());
    service.control().close_gate();
    WsClient client(service.port());
    const std::string long_prompt(10'000, 'x');  // so long that the worker thread encodes the prompt
    for (const auto* lane : {"a", "b"})
        client.send(create_message(R"("max_output_tokens":1,"solar":{"idempotency_key":"k"},"stream_id":")" +
                                       std::string(lane) + '"',
                                   long_prompt));
    std::map<std::string, std::string> ids;
    while (ids.size() < 2) {
        const auto event = client.read();
        ids[lane_of(event)] = id_of(event);
    }
    BOOST_TEST(ids["a"] == ids["b"]);
    BOOST_TEST(metadata(service.port()).at("engine").at("in_flight") == 1);
}

BOOST_AUTO_TEST_CASE(request_can_be_cancelled_by_its_lane_while_its_prompt_is_encoded) {
    RunningService service({}, long_context());
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("stream_id":"a","max_output_tokens":9)", std::string(10'000, 'x')));
    client.send(cancel_message(R"("stream_id":"a")"));
    BOOST_TEST(read_response(client).back().at("response").at("status") == "cancelled");
    wait_for_in_flight(service.port(), 0);
}

BOOST_AUTO_TEST_CASE(solar_events_are_sent_only_with_the_subprotocol) {
    for (const bool knows : {false, true}) {
        RunningService service({"--keep-alive-interval", "0.02"});
        service.control().close_gate();
        WsClient client(service.port(), knows ? with_extensions : std::vector<std::string>{});
        client.send(create_message(
            R"("max_output_tokens":30,"solar":{"progress":true,"resumable":true,"max_delta_hz":120,"idempotency_key":"k"})"));
        std::vector<json::object> events;
        if (knows) {
            events.push_back(client.read());
            BOOST_TEST(type_of(events.front()) == "solar:session");
            const auto& limits = events.front().at("limits").as_object();
            BOOST_TEST(limits.at("max_in_flight") == 16);
            BOOST_TEST(limits.at("max_lanes") == 32);
            BOOST_TEST(limits.at("max_message_bytes") == 1 << 20);
        }
        const auto rest = client.read_until("keepalive");
        events.insert(events.end(), rest.begin(), rest.end());
        BOOST_TEST(id_of(events.back()) == id_of(events[knows ? 1 : 0]));
        for (int i = 0; i < 3; ++i) service.control().pass_one();
        const auto begun = client.read_until(knows ? "solar:progress" : "response.output_text.delta");
        events.insert(events.end(), begun.begin(), begun.end());
        service.control().open_gate();
        const auto end = read_response(client);
        events.insert(events.end(), end.begin(), end.end());
        int progress = 0;
        std::int64_t last = -1;
        for (const auto& event : events) {
            const auto type = type_of(event);
            if (type.starts_with("solar:")) BOOST_TEST(knows);
            if (type == "solar:session") continue;
            const auto number = event.at("sequence_number").as_int64();
            BOOST_TEST(number >= last);
            if (type == "keepalive" || type == "solar:progress")
                BOOST_TEST(number == last);  // these events have the number of the event before them
            last = number;
            if (type != "solar:progress") continue;
            ++progress;
            for (const auto* name : {"queue_position", "queue_length", "prompt_tokens_done", "prompt_tokens",
                                     "output_tokens", "tokens_per_s", "elapsed_ms"})
                BOOST_TEST(event.at(name).to_number<double>() >= 0);
            const auto phase = event.at("phase").as_string();
            BOOST_TEST((phase == "queued" || phase == "prefill" || phase == "decode"));
        }
        BOOST_TEST((progress > 0) == knows);
        client.send(R"({"type":"solar:ping","t":7})");
        const auto pong = client.read();
        BOOST_TEST(type_of(pong) == (knows ? "solar:pong" : "error"));
        if (knows) {
            BOOST_TEST(pong.at("t") == 7);
            BOOST_TEST(pong.at("server_time_ms").as_int64() > 1'700'000'000'000);
        }
        client.send(R"({"type":"response.steer","stream_id":"a","event_id":"e"})");
        const auto steer = client.read();
        BOOST_TEST(type_of(steer) == "response.steer.failed");
        BOOST_TEST(steer.at("error").at("code") == "steering_not_supported");
        BOOST_TEST(steer.at("stream_id") == "a");
    }
}

BOOST_AUTO_TEST_CASE(sockets_and_their_errors_are_counted_in_metrics) {
    RunningService service;
    WsClient client(service.port());
    client.send(create_message(R"("top_p":9)"));
    BOOST_TEST(code_of(client.read()) == "invalid_value");
    Connection scrape(service.port());
    scrape.send(get_request("/metrics"));
    const auto text = scrape.read_answer().body;
    const auto has = [&](const std::string& name, const std::string& rest) {
        for (auto at = text.find("\n" + name + "{"); at != std::string::npos;
             at = text.find("\n" + name, at + 1)) {
            if (text.substr(at, text.find('\n', at + 1) - at).ends_with(rest)) return true;
        }
        return false;
    };
    BOOST_TEST(has("solard_websockets", "} 1"));
    BOOST_TEST(has("solard_connections", "} 2"));
    BOOST_TEST(has("solard_request_errors_total", R"(code="invalid_value"} 1)"));
    BOOST_TEST(has("solard_http_requests_total", R"(status="101"} 1)"));
}

BOOST_AUTO_TEST_CASE(progress_events_tell_the_queue_position) {
    RunningService service({"--max-num-seqs", "1"});
    service.control().close_gate();
    WsClient client(service.port(), with_extensions);
    for (const auto* lane : {"a", "b", "c"})
        client.send(create_message(R"("max_output_tokens":20,"solar":{"progress":true},"stream_id":")" +
                                   std::string(lane) + '"'));
    wait_for_in_flight(service.port(), 3);
    service.control().pass_one();
    service.control().pass_one();
    std::map<std::string, std::int64_t> places;
    while (places["b"] != 1 || places["c"] != 2) {
        const auto event = client.read();
        if (type_of(event) != "solar:progress" || event.at("phase") != "queued") continue;
        places[lane_of(event)] = event.at("queue_position").as_int64();
    }
}

BOOST_AUTO_TEST_CASE(invalid_message_is_answered_and_20_within_10_seconds_close_socket) {
    RunningService service;
    WsClient client(service.port());
    for (int i = 1; i < 20; ++i) {
        client.send("{");
        BOOST_TEST(code_of(client.read()) == "invalid_json");
    }
    client.send(create_message(R"("max_output_tokens":2)"));
    BOOST_TEST(is_terminal(read_response(client).back()));
    client.send("{");
    BOOST_TEST(code_of(client.read()) == "invalid_json");
    BOOST_TEST(client.read_close() == 1008);
}

BOOST_AUTO_TEST_CASE(invalid_message_closes_socket_with_its_code) {
    RunningService service({"--ws-max-message-size", "2000"});
    const auto close_after = [&](std::uint8_t opcode, const std::string& payload) {
        WsClient client(service.port());
        client.send_frame(opcode, payload);
        return client.read_close();
    };
    BOOST_TEST(close_after(WsFrame::binary, "{}") == 1003);
    BOOST_TEST(close_after(WsFrame::text, "\xff") == 1007);
    BOOST_TEST(close_after(WsFrame::text, std::string(2001, ' ')) == 1009);
    BOOST_TEST(close_after(3, "") == 1002);
    BOOST_TEST(close_after(WsFrame::close, "\x03\xe8") == 1000);
    WsClient client(service.port());
    const std::string message = create_message(R"("max_output_tokens":2)");
    client.send(message + std::string(2000 - message.size(), ' '));
    BOOST_TEST(is_terminal(read_response(client).back()));
}

BOOST_AUTO_TEST_CASE(ping_is_answered_and_1000_pings_close_socket) {
    RunningService service;
    WsClient client(service.port());
    client.send_frame(WsFrame::ping, "abc");
    const auto pong = client.read_frame();
    BOOST_TEST(pong.opcode == WsFrame::pong);
    BOOST_TEST(pong.payload == "abc");
    for (int i = 0; i < 1000; ++i) client.send_frame(WsFrame::ping, "");
    BOOST_TEST(client.read_close() == 1008);
}

BOOST_AUTO_TEST_CASE(message_of_1024_fragments_is_answered_and_of_1025_closes_socket) {
    RunningService service;
    WsClient client(service.port());
    const auto send_in_fragments = [&](std::string_view message, int count) {
        client.send_frame(WsFrame::text, message, false);
        for (int i = 2; i < count; ++i) client.send_frame(0, "", false);
        client.send_frame(0, "", true);
    };
    send_in_fragments(create_message(R"("max_output_tokens":2)"), 1024);
    BOOST_TEST(is_terminal(read_response(client).back()));
    send_in_fragments(create_message(R"("max_output_tokens":2)"), 1025);
    BOOST_TEST(client.read_close() == 1008);
}

BOOST_AUTO_TEST_CASE(silent_client_is_pinged_and_dropped_if_it_does_not_answer) {
    RunningService service({"--ws-ping-interval", "0.05", "--ws-pong-timeout", "0.2"});
    WsClient client(service.port());
    for (int i = 0; i < 5; ++i) {
        const auto ping = client.read_frame();
        BOOST_REQUIRE(ping.opcode == WsFrame::ping);
        client.send_frame(WsFrame::pong, ping.payload);
    }
    BOOST_TEST(client.read_frame().opcode == WsFrame::ping);
    BOOST_TEST(client.read_close() == 1006);
}

BOOST_AUTO_TEST_CASE(idle_socket_is_closed_and_busy_one_stays) {
    RunningService service({"--ws-idle-timeout", "0.1"});
    service.control().close_gate();
    WsClient busy(service.port());
    busy.send(create_message(R"("max_output_tokens":1)"));
    WsClient idle(service.port());
    BOOST_TEST(idle.read_close() == 1001);
    service.control().open_gate();
    BOOST_TEST(is_terminal(read_response(busy).back()));
    BOOST_TEST(busy.read_close() == 1001);
}

BOOST_AUTO_TEST_CASE(old_socket_finishes_its_requests_refuses_new_ones_and_closes) {
    RunningService service({"--ws-max-age", "0.2"});
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":3,"stream_id":"a")"));
    client.send(create_message(R"("max_output_tokens":3,"stream_id":"a")", "waits"));
    const auto error = client.read_until("error").back();
    BOOST_TEST(code_of(error) == "websocket_connection_limit_reached");
    BOOST_TEST(lane_of(error).empty());
    client.send(create_message(R"("stream_id":"late")"));
    BOOST_TEST(code_of(client.read_until("error").back()) == "websocket_connection_limit_reached");
    service.control().open_gate();
    BOOST_TEST(final_text(read_response(client).back()) == service.reference_text("hi", 3));
    BOOST_TEST(final_text(read_response(client).back()) == service.reference_text("waits", 3));
    BOOST_TEST(client.read_close() == 1012);
}

BOOST_AUTO_TEST_CASE(age_limit_is_announced_when_the_default_lane_is_free) {
    RunningService service({"--ws-max-age", "0.1"});
    service.control().close_gate();
    WsClient client(service.port());
    for (const auto* input : {"one", "two"}) client.send(create_message(R"("max_output_tokens":3)", input));
    WsClient other(service.port());
    // When `other` has reached the age limit, `client` has reached it too, because `client` is older.
    BOOST_TEST(code_of(other.read()) == "websocket_connection_limit_reached");
    service.control().open_gate();
    for (const auto* input : {"one", "two"})
        BOOST_TEST(final_text(read_response(client).back()) == service.reference_text(input, 3));
    BOOST_TEST(code_of(client.read()) == "websocket_connection_limit_reached");
    BOOST_TEST(client.read_close() == 1012);
}

BOOST_AUTO_TEST_CASE(close_frame_cancels_responses_at_once) {
    RunningService service;
    service.control().close_gate();
    WsClient client(service.port());
    client.send(create_message(R"("max_output_tokens":400)"));
    wait_for_in_flight(service.port(), 1);
    client.send_frame(WsFrame::close, "\x03\xe8");  // sends the frame without closing the TCP connection
    wait_for_in_flight(service.port(), 0);
    BOOST_TEST(client.read_close() == 1000);
}

BOOST_AUTO_TEST_CASE(too_many_requests_are_refused_and_only_a_flood_closes_socket) {
    RunningService service;
    service.control().close_gate();
    WsClient client(service.port());
    for (int i = 0; i < 120; ++i)
        client.send(create_message(R"("max_output_tokens":1,"stream_id":"l)" + std::to_string(i % 8) + '"'));
    wait_for_in_flight(service.port(), 8);
    service.control().open_gate();
    int ends = 0;
    int refusals = 0;
    while (ends + refusals < 120) {
        const auto event = client.read();
        ends += is_terminal(event) ? 1 : 0;
        if (type_of(event) != "error") continue;
        BOOST_TEST(code_of(event) == "websocket_queue_full");
        BOOST_TEST(event.at("status") == 429);
        ++refusals;
    }
    BOOST_TEST(ends >= 72);  // 8 in flight and 64 waiting
    service.control().close_gate();
    client.send(create_message(R"("max_output_tokens":400)"));
    client.read();
    for (int i = 0; i < 1100; ++i)
        client.send(R"({"type":"response.create"})");  // an invalid request, on a busy lane
    BOOST_TEST(client.read_close() == 1008);
}

BOOST_AUTO_TEST_CASE(idempotency_key_of_a_cancelled_response_begins_a_new_one) {
    RunningService service;
    const std::string fields = R"("max_output_tokens":6,"solar":{"idempotency_key":"k"})";
    service.control().close_gate();
    WsClient first(service.port());
    first.send(create_message(fields));
    const auto id = id_of(first.read());
    first.drop();
    wait_for_in_flight(service.port(), 0);
    service.control().open_gate();
    WsClient second(service.port());
    second.send(create_message(fields));
    const auto end = read_response(second).back();
    BOOST_TEST(id_of(end) != id);
    BOOST_TEST(final_text(end) == service.reference_text("hi", 6));
}

BOOST_AUTO_TEST_CASE(shutdown_closes_sockets_with_1012_after_the_running_responses_end) {
    RunningService service;
    service.control().close_gate();
    WsClient idle(service.port());
    WsClient busy(service.port());
    busy.send(create_message(R"("max_output_tokens":5)"));
    busy.send(create_message(R"("max_output_tokens":5)", "waits"));
    wait_for_in_flight(service.port(), 1);
    std::raise(SIGTERM);
    BOOST_TEST(idle.read_close() == 1012);
    Connection late(service.port());
    late.send(upgrade_request());
    BOOST_TEST(late.read_answer().status == 503);
    service.control().open_gate();
    BOOST_TEST(final_text(read_response(busy).back()) == service.reference_text("hi", 5));
    BOOST_TEST(code_of(busy.read()) == "server_draining");  // for the request that was still waiting
    BOOST_TEST(busy.read_close() == 1012);
    idle.drop();
    busy.drop();
    BOOST_TEST(service.exit_code() == 0);
}

BOOST_AUTO_TEST_CASE(
    every_response_fails_with_a_terminal_event_at_the_drain_timeout_and_if_the_engine_is_lost) {
    for (const bool engine_lost : {false, true}) {
        RunningService service({"--drain-timeout", "0.1"});
        service.control().close_gate();
        WsClient client(service.port());
        for (const auto* lane : {"a", "b"})
            client.send(create_message(R"("max_output_tokens":400,"stream_id":")" + std::string(lane) + '"'));
        wait_for_in_flight(service.port(), 2);
        service.control().wait_until_held();
        if (engine_lost) {
            service.control().fail_at_step(service.control().steps() + 1);
            service.control().open_gate();
        } else {
            std::raise(SIGTERM);
        }
        std::set<std::string> lanes;
        while (lanes.size() < 2) {
            const auto event = client.read();
            if (!is_terminal(event)) continue;
            BOOST_TEST(type_of(event) == "response.failed");
            BOOST_TEST(event.at("response").at("error").at("code") == "server_error");
            BOOST_TEST(lanes.insert(lane_of(event)).second);
        }
        BOOST_TEST(client.read_close() == 1012);
        client.drop();
        service.control().open_gate();
        BOOST_TEST(service.exit_code() == (engine_lost ? 1 : 0));
    }
}

BOOST_AUTO_TEST_CASE(stalled_reader_gets_the_same_text_in_fewer_frames) {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 1024, .max_tokens_per_step = 512, .max_seqs_per_step = 64, .max_model_len = 16'000};
    RunningService service(patient, options);
    WsClient client(service.port(), {}, 4096);
    constexpr int num_tokens = 12'000;
    client.send(create_message(R"("max_output_tokens":)" + std::to_string(num_tokens)));
    wait_for_in_flight(service.port(), 1);
    wait_for_in_flight(service.port(), 0);  // the server is done, but the client has read almost nothing
    const auto events = read_response(client);
    BOOST_TEST(text_of(events) == service.reference_text("hi", num_tokens));
    BOOST_TEST(final_text(events.back()) == text_of(events));
    const auto num_deltas = std::ranges::count(
        all_shown(events), true, [](const std::string& line) { return line.ends_with("output_text.delta"); });
    BOOST_TEST(num_deltas < num_tokens / 4);
    BOOST_TEST(events.back().at("response").at("solar").at("frames_merged").as_int64() + num_deltas ==
               num_tokens);
}

BOOST_AUTO_TEST_CASE(lane_with_a_backlog_does_not_delay_other_lanes) {
    RunningService service(patient, long_context());
    WsClient client(service.port(), {}, 64 << 10);
    // With logprobs, all events of the lane `large` together are larger than any socket buffer.
    client.send(create_message(
        R"("max_output_tokens":12000,"top_logprobs":2,"include":["message.output_text.logprobs"],"stream_id":"large")"));
    wait_for_in_flight(service.port(), 1);
    wait_for_in_flight(service.port(), 0);
    client.send(create_message(R"("max_output_tokens":5,"stream_id":"small")"));
    std::vector<std::string> ends;
    while (ends.size() < 2) {
        const auto event = client.read();
        if (is_terminal(event)) ends.push_back(lane_of(event));
    }
    BOOST_TEST(ends.front() == "small");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
