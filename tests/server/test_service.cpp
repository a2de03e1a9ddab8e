// Tests the whole server, from the socket to the engine and back. A FakeBackend replaces the model, and the
// test decides when each step of the engine may run.
#include <fcntl.h>
#include <sys/socket.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>

#include "server/config/parse_config.hpp"
#include "server/listener.hpp"
#include "tests/support/running_service.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {

namespace {

std::string error_code_of(const HttpAnswer& answer) {
    return std::string(boost::json::parse(answer.body).at("error").at("code").get_string());
}

// One choice of a streamed answer, put together from the chunks of the stream. Properties of the chunks that
// are not collected here are checked by the tests with real clients.
struct StreamedChoice {
    std::string text;
    int num_texts = 0;
    int num_roles = 0;
    std::vector<boost::json::value> ends;  // [finish_reason, stop_reason]
    boost::json::array logprobs;
};

std::vector<StreamedChoice> streamed_choices(const std::string& body, std::size_t count) {
    std::vector<StreamedChoice> choices(count);
    for (std::size_t at = 0; (at = body.find("data: {", at)) != std::string::npos; ++at) {
        const auto event =
            boost::json::parse(body.substr(at + 6, body.find("\n\n", at) - at - 6)).as_object();
        if (!event.contains("choices") || event.at("choices").as_array().empty()) continue;
        const auto& chunk = event.at("choices").at(0).as_object();
        auto& choice = choices.at(chunk.at("index").to_number<std::size_t>());
        const auto& delta = chunk.at("delta").as_object();
        choice.num_roles += delta.contains("role") ? 1 : 0;
        if (const auto* content = delta.if_contains("content")) {
            choice.text += std::string_view(content->get_string());
            ++choice.num_texts;
        }
        if (const auto* logprobs = chunk.at("logprobs").if_object()) {
            const auto& content = logprobs->at("content").as_array();
            choice.logprobs.insert(choice.logprobs.end(), content.begin(), content.end());
        }
        if (!chunk.at("finish_reason").is_null())
            choice.ends.push_back({chunk.at("finish_reason"), chunk.at("stop_reason")});
    }
    return choices;
}

std::string streamed_text(const std::string& body) {
    return streamed_choices(body, 1).front().text;
}

// Returns the body of a stream which the server reads from the log in several parts. This function reads the
// socket after the first step, before the other steps run. It reads the rest after all other steps.
std::string body_read_in_pieces(RunningService& service, Connection& connection, const std::string& request) {
    service.control().close_gate();
    connection.send(request);
    service.control().pass_one();
    connection.read_until("data: ");
    service.control().open_gate();
    wait_for_free_blocks(service.port());
    return connection.read_answer().body;
}

// Reads an answer whose body is chunked, and returns its chunks.
std::vector<std::string> read_chunks(Connection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    BOOST_TEST(head.find("Transfer-Encoding: chunked") != std::string::npos);
    connection.read_bytes(head.find("\r\n\r\n") + 4);
    for (std::vector<std::string> chunks;;) {
        const std::string buffer = connection.read_until("\r\n");
        const auto line = buffer.find("\r\n");
        const auto size = std::stoul(buffer.substr(0, line), nullptr, 16);
        connection.read_bytes(line + 2);
        if (size == 0) return chunks;
        chunks.push_back(connection.read_bytes(size));
        connection.read_bytes(2);
    }
}

std::string text_of(const boost::json::value& choice) {
    return std::string(choice.at("message").at("content").get_string());
}

// Checks that each token and its alternatives have the logprobs which FakeBackend makes.
void check_logprobs(const boost::json::array& content, const std::vector<TokenId>& tokens, int alternatives) {
    BOOST_REQUIRE(content.size() == tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto& entry = content[i].as_object();
        BOOST_TEST(entry.at("logprob").to_number<float>() == fake_logprob(tokens[i], 0));
        const auto& top = entry.at("top_logprobs").as_array();
        BOOST_REQUIRE(std::cmp_equal(top.size(), alternatives));
        for (int place = 0; place < alternatives; ++place)
            BOOST_TEST(top[static_cast<std::size_t>(place)].at("logprob").to_number<float>() ==
                       fake_logprob(tokens[i], place));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(service)

BOOST_AUTO_TEST_CASE(whole_answer_and_stream_have_the_reference_text) {
    RunningService service;
    Connection connection(service.port());
    const std::string expected = service.reference_text("hello", 20);

    connection.send(chat_request("hello", R"("max_tokens":20)"));
    const auto whole = connection.read_answer();
    BOOST_TEST(whole.status == 200);
    const auto body = boost::json::parse(whole.body);
    BOOST_TEST(std::string(body.at("choices").at(0).at("message").at("content").get_string()) == expected);
    BOOST_TEST(body.at("choices").at(0).at("finish_reason") == "length");
    BOOST_TEST(body.at("usage").at("completion_tokens") == 20);

    connection.send(chat_request("hello", R"("max_tokens":20,"stream":true)"));
    const auto stream = connection.read_answer();
    BOOST_TEST(stream.complete);
    BOOST_TEST(streamed_text(stream.body) == expected);
    BOOST_TEST(stream.body.ends_with("data: [DONE]\n\n"));
    BOOST_TEST(stream.has("Content-Type: text/event-stream"));
    wait_for_in_flight(service.port(), 0);
}

BOOST_AUTO_TEST_CASE(each_choice_has_its_own_text_in_whole_answer_and_stream) {
    RunningService service;
    Connection connection(service.port());
    connection.send(chat_request("hello", R"("max_tokens":20,"n":4)"));
    const auto whole = boost::json::parse(connection.read_answer().body);
    const auto& choices = whole.at("choices").as_array();
    BOOST_REQUIRE(choices.size() == 4);
    const std::string fields =
        R"("max_tokens":20,"n":4,"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":2)";
    const auto stream = body_read_in_pieces(service, connection, chat_request("hello", fields));
    const auto streamed = streamed_choices(stream, 4);
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::string expected = service.reference_text("hello", 20, i);
        BOOST_TEST(choices[i].at("index") == i);
        BOOST_TEST(text_of(choices[i]) == expected);
        BOOST_TEST(choices[i].at("logprobs").is_null());
        BOOST_TEST(streamed[i].text == expected);
        BOOST_TEST(streamed[i].num_roles == 1);
        BOOST_REQUIRE(streamed[i].ends.size() == 1);
        BOOST_TEST(streamed[i].ends[0] == boost::json::value({"length", nullptr}));
        check_logprobs(streamed[i].logprobs, service.reference_tokens("hello", 20, i), 2);
    }
    BOOST_TEST(text_of(choices[0]) != text_of(choices[1]));
    const auto& usage = whole.at("usage").as_object();
    connection.send(chat_request("hello", R"("max_tokens":20)"));
    const auto single = boost::json::parse(connection.read_answer().body);
    BOOST_TEST(usage.at("completion_tokens") == 80);
    BOOST_TEST(usage.at("prompt_tokens") == single.at("usage").at("prompt_tokens"));
    BOOST_TEST(stream.find(R"("completion_tokens":80,)") != std::string::npos);
    BOOST_TEST(stream.ends_with("data: [DONE]\n\n"));
}

BOOST_AUTO_TEST_CASE(slow_reader_gets_every_choice_completely_in_larger_chunks) {
    RunningService service;
    Connection slow(service.port(), 4096);
    const auto request =
        chat_request("slow", R"("max_tokens":200,"n":4,"stream":true,"logprobs":true,"top_logprobs":20)");
    const auto streamed = streamed_choices(body_read_in_pieces(service, slow, request), 4);
    int num_texts = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
        BOOST_TEST(streamed[i].text == service.reference_text("slow", 200, i));
        BOOST_TEST(streamed[i].num_roles == 1);
        BOOST_TEST(streamed[i].ends.size() == 1);
        check_logprobs(streamed[i].logprobs, service.reference_tokens("slow", 200, i), 20);
        num_texts += streamed[i].num_texts;
    }
    BOOST_TEST(num_texts < 800);
}

BOOST_AUTO_TEST_CASE(answer_tells_which_stop_ended_it) {
    RunningService service;
    Connection connection(service.port());
    const auto tokens = service.reference_tokens("stop", 20);
    const auto ends_with = [&](const std::string& fields, const boost::json::value& reason,
                               const std::string& text, std::size_t num_tokens) {
        connection.send(chat_request("stop", R"("max_tokens":20,"logprobs":true,)" + fields));
        const auto whole = boost::json::parse(connection.read_answer().body);
        const auto& choice = whole.at("choices").at(0).as_object();
        BOOST_TEST(choice.at("finish_reason") == "stop");
        BOOST_TEST(choice.at("stop_reason") == reason);
        BOOST_TEST(text_of(choice) == text);
        BOOST_TEST(whole.at("usage").at("completion_tokens") == num_tokens);
        const std::vector<TokenId> counted(tokens.begin(), tokens.begin() + static_cast<int>(num_tokens));
        check_logprobs(choice.at("logprobs").at("content").as_array(), counted, 0);

        const auto request =
            chat_request("stop", R"("max_tokens":20,"logprobs":true,"stream":true,)" + fields);
        const auto streamed = streamed_choices(body_read_in_pieces(service, connection, request), 1).front();
        BOOST_TEST(streamed.text == text);
        BOOST_REQUIRE(streamed.ends.size() == 1);
        BOOST_TEST(streamed.ends[0] == boost::json::value({"stop", reason}));
        check_logprobs(streamed.logprobs, counted, 0);
    };
    const std::string id = std::to_string(tokens[7]);
    ends_with(R"("stop_token_ids":[3,)" + id + "]", tokens[7], service.reference_text("stop", 7), 8);

    // The stop string is the text of the tokens 5 to 10. This text is held back until the stop string is
    // complete.
    const std::string ten = service.reference_text("stop", 10);
    const std::string held = ten.substr(service.reference_text("stop", 4).size());
    ends_with(R"("stop":["\u0000",)" + boost::json::serialize(boost::json::value(held)) + "]",
              boost::json::value(held), service.reference_text("stop", 4), 10);
    // Without min_tokens, the answer would stop at the eighth token.
    connection.send(chat_request("stop", R"("max_tokens":20,"min_tokens":12,"stop_token_ids":[)" + id + "]"));
    const auto later = boost::json::parse(connection.read_answer().body);
    BOOST_TEST(later.at("usage").at("completion_tokens").to_number<int>() >= 12);
}

BOOST_AUTO_TEST_CASE(values_beyond_the_servers_limits_are_refused_before_any_step) {
    RunningService service({"--max-num-seqs", "2"});
    Connection connection(service.port());
    const auto refused = [&](const std::string& fields, const char* param) {
        connection.send(chat_request("a", R"("max_tokens":5,)" + fields));
        const auto answer = connection.read_answer();
        BOOST_TEST(answer.status == 400);
        BOOST_TEST(error_code_of(answer) == "invalid_value");
        BOOST_TEST(boost::json::parse(answer.body).at("error").at("param") == param);
    };
    refused(R"("n":3)", "n");
    refused(R"("min_tokens":6)", "min_tokens");
    const auto limits = metadata(service.port()).at("limits").as_object();
    BOOST_TEST(limits.at("n") == boost::json::value({1, 2}));
    const std::string vocab_size = std::to_string(limits.at("top_k").at(1).to_number<int>());
    refused(R"("stop_token_ids":[)" + vocab_size + "]", "stop_token_ids");
    refused(R"("logit_bias":{")" + vocab_size + R"(":1})", "logit_bias");
    BOOST_TEST(service.control().steps() == 0);
    connection.send(chat_request("a", R"("max_tokens":5,"n":2,"min_tokens":5,"stream":true)"));
    for (const auto& choice : streamed_choices(connection.read_answer().body, 2))
        BOOST_TEST(choice.ends.size() == 1);
}

BOOST_AUTO_TEST_CASE(metadata_tells_the_range_of_each_field) {
    RunningService service;
    const auto limits = metadata(service.port()).at("limits").as_object();
    const auto is = [&](const char* name, const char* value) {
        BOOST_TEST(limits.at(name) == boost::json::parse(value), name);
    };
    is("temperature", "[0,2]");
    is("top_p", "[0,1]");
    is("min_p", "[0,1]");
    is("repetition_penalty", "[0,2]");
    is("frequency_penalty", "[-2,2]");
    is("presence_penalty", "[-2,2]");
    is("n", "[1,8]");
    is("top_logprobs", "[0,20]");
    is("stop", R"({"count":16,"bytes":256})");
    is("stop_token_ids", R"({"count":64})");
    is("logit_bias", R"({"count":300,"bias":[-100,100]})");
    is("max_tokens", "511");
}

BOOST_AUTO_TEST_CASE(pipelined_requests_are_answered_in_order_even_behind_a_stream) {
    RunningService service;
    Connection connection(service.port());
    connection.send(chat_request("one", R"("max_tokens":30,"stream":true)") + get_request("/v1/health/live") +
                    chat_request("two", R"("max_tokens":3)") + get_request("/nope"));
    BOOST_TEST(streamed_text(connection.read_answer().body) == service.reference_text("one", 30));
    BOOST_TEST(connection.read_answer().body == R"({"status":"live"})");
    BOOST_TEST(connection.read_answer().status == 200);
    BOOST_TEST(connection.read_answer().status == 404);
}

BOOST_AUTO_TEST_CASE(full_server_refuses_at_once_and_tells_when_to_retry) {
    RunningService service({"--max-num-seqs", "1", "--max-queued-requests", "1"});
    service.control().close_gate();
    Connection running(service.port());
    Connection waiting(service.port());
    Connection refused(service.port());
    running.send(chat_request("a", R"("max_tokens":2)"));
    wait_for_in_flight(service.port(), 1);
    waiting.send(chat_request("b", R"("max_tokens":2)"));
    wait_for_in_flight(service.port(), 2);
    refused.send(chat_request("c", R"("max_tokens":2,"stream":true)"));
    const auto answer = refused.read_answer();
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(error_code_of(answer) == "server_overloaded");
    BOOST_TEST(answer.has("Retry-After: "));
    BOOST_TEST(answer.has("retry-after-ms: "));
    service.control().open_gate();
    BOOST_TEST(running.read_answer().status == 200);
    BOOST_TEST(waiting.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(waiting_prompt_tokens_are_limited_but_one_prompt_is_always_accepted) {
    RunningService service({"--max-queued-tokens", "10"});
    service.control().close_gate();
    Connection first(service.port());
    Connection second(service.port());
    first.send(chat_request("a prompt of more than ten tokens", R"("max_tokens":2)"));
    wait_for_in_flight(service.port(), 1);
    second.send(chat_request("b", R"("max_tokens":2)"));
    BOOST_TEST(error_code_of(second.read_answer()) == "server_overloaded");
    service.control().open_gate();
    BOOST_TEST(first.read_answer().status == 200);
    second.send(chat_request("b", R"("max_tokens":2)"));
    BOOST_TEST(second.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(request_ends_when_its_client_leaves) {
    RunningService service;
    for (const std::string fields : {R"("max_tokens":400)", R"("max_tokens":400,"stream":true)"}) {
        for (const bool half : {false, true}) {
            service.control().close_gate();
            Connection client(service.port());
            client.send(chat_request("a", fields));
            service.control().wait_until_held();
            half ? client.half_close() : client.close();
            wait_for_in_flight(service.port(), 0);  // the disconnect is noticed although the step is blocked
            const auto before = service.control().steps();
            service.control().open_gate();
            wait_for_free_blocks(service.port());
            BOOST_TEST(service.control().steps() - before <= 1);
        }
    }
    Connection next(service.port());
    next.send(chat_request("next", R"("max_tokens":3)"));
    BOOST_TEST(next.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(silent_stream_carries_only_pairs_of_line_feeds) {
    RunningService service({"--keep-alive-interval", "0.01"});
    service.control().close_gate();
    Connection client(service.port());
    client.send(chat_request("a", R"("max_tokens":1,"stream":true)"));
    const auto idle = client.read_until("2\r\n\n\n\r\n2\r\n\n\n\r\n");
    BOOST_TEST(idle.starts_with("HTTP/1.1 200"));
    service.control().open_gate();
    const auto answer = client.read_answer();
    BOOST_TEST(streamed_text(answer.body) == service.reference_text("a", 1));
    BOOST_TEST(answer.body.starts_with("\n\n"));
}

BOOST_AUTO_TEST_CASE(requests_and_health_get_503_while_the_model_loads) {
    RunningService service({RunningService::hold_loading});
    Connection client(service.port());
    client.send(get_request("/v1/health/live"));
    BOOST_TEST(client.read_answer().status == 200);
    client.send(get_request("/v1/health/ready"));
    const auto health = client.read_answer();
    BOOST_TEST(health.status == 503);
    BOOST_TEST(health.has("Retry-After: "));
    BOOST_TEST(health.has("retry-after-ms: 1"));  // 1000 to 1999
    BOOST_TEST(boost::json::parse(health.body).at("status") == "loading");
    client.send(chat_request("a"));
    const auto refused = client.read_answer();
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(error_code_of(refused) == "server_starting");
    BOOST_TEST(refused.has("Retry-After: "));
}

BOOST_AUTO_TEST_CASE(queue_timeout_of_a_stream_is_answered_with_status_503) {
    RunningService service({"--max-num-seqs", "1", "--queue-timeout", "1"});
    service.control().close_gate();
    Connection running(service.port());
    Connection waiting(service.port());
    running.send(chat_request("a", R"("max_tokens":400)"));
    service.control().wait_until_held();
    waiting.send(chat_request("b", R"("max_tokens":1,"stream":true)"));
    wait_for_in_flight(service.port(), 2);
    const auto past_deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1001);
    std::this_thread::sleep_until(past_deadline);  // sleeps, because the server's deadline is in real time
    service.control().open_gate();
    const auto answer = waiting.read_answer();
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(error_code_of(answer) == "queue_timeout");
    BOOST_TEST(answer.body.find("waited too long in the queue; retry after ") != std::string::npos);
    BOOST_TEST(running.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(failed_engine_sends_errors_and_ends_the_process_with_1) {
    RunningService service;
    service.control().fail_at_step(4);
    Connection stream(service.port());
    stream.send(chat_request("a", R"("max_tokens":100,"stream":true)"));
    const auto answer = stream.read_answer();
    // The error is the last event of the stream if the header had already been sent. Otherwise, the error
    // determines the status of the answer. The body contains the error in both cases.
    BOOST_TEST(answer.body.find(R"("code":"engine_unavailable")") != std::string::npos);
    BOOST_TEST(answer.body.find("[DONE]") == std::string::npos);
    BOOST_TEST(service.exit_code() == 1);
}

// Each chunk of the answer is one piece. Between two pieces, the event loop can run other handlers.
BOOST_AUTO_TEST_CASE(large_whole_answer_is_sent_in_pieces_of_bounded_size) {
    RunningService service;
    const auto request = [](int max_tokens) {
        return chat_request(
            "a", R"("n":4,"logprobs":true,"top_logprobs":20,"max_tokens":)" + std::to_string(max_tokens));
    };
    Connection small(service.port());
    small.send(request(2));
    BOOST_TEST(small.read_answer().has("Content-Length: "));
    Connection large(service.port());
    large.send(request(100));
    std::string body;
    const auto chunks = read_chunks(large);
    for (const auto& chunk : chunks) {
        BOOST_TEST(chunk.size() <= (64U << 10) + 4096U);
        body += chunk;
    }
    BOOST_TEST(chunks.size() > 4U);
    const auto answer = boost::json::parse(body);
    for (const auto& choice : answer.at("choices").as_array())
        BOOST_TEST(choice.at("logprobs").at("content").as_array().size() == 100U);
}

BOOST_AUTO_TEST_CASE(backlog_of_a_slow_stream_is_sent_in_pieces_of_bounded_size) {
    RunningService service;
    service.control().close_gate();
    Connection slow(service.port(), 4096);
    slow.send(chat_request("a", R"("n":8,"logprobs":true,"top_logprobs":20,"max_tokens":500,"stream":true)"));
    wait_for_in_flight(service.port(), 1);
    service.control().open_gate();
    wait_for_free_blocks(service.port());  // afterwards, all tokens are in the log
    std::size_t size = 0;
    std::size_t largest = 0;
    for (const auto& chunk : read_chunks(slow)) {
        largest = std::max(largest, chunk.size());
        size += chunk.size();
    }
    BOOST_TEST(largest > (64U << 10));
    BOOST_TEST(largest <= 512U << 10);
    BOOST_TEST(size > 4'000'000U);
}

BOOST_AUTO_TEST_CASE(client_that_leaves_a_large_answer_ends_its_rendering) {
    RunningService service;
    {
        Connection large(service.port(), 4096);
        large.send(chat_request("a", R"("n":8,"logprobs":true,"top_logprobs":20,"max_tokens":500)"));
        large.read_until("choices");
    }
    wait_for_in_flight(service.port(), 0);
    wait_for_free_blocks(service.port());
}

// The event loop still runs, but the engine makes no progress.
BOOST_AUTO_TEST_CASE(hanging_engine_sends_errors_and_ends_the_process_with_1) {
    RunningService service({"--engine-timeout", "0.2"});
    service.control().close_gate();
    Connection stream(service.port());
    Connection whole(service.port());
    stream.send(chat_request("a", R"("max_tokens":100,"stream":true)"));
    whole.send(chat_request("b", R"("max_tokens":100)"));
    const auto answer = whole.read_answer();
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(error_code_of(answer) == "engine_unavailable");
    BOOST_TEST(stream.read_answer().body.find(R"("code":"engine_unavailable")") != std::string::npos);
    BOOST_TEST(service.wait_until_ended() == 1);  // the process must end although the step still hangs
    service.control().open_gate();
    BOOST_TEST(service.exit_code() == 1);
}

BOOST_AUTO_TEST_CASE(shutdown_does_not_wait_for_a_load_that_hangs) {
    RunningService service({RunningService::hold_loading, "--engine-timeout", "0.2"});
    std::raise(SIGTERM);
    BOOST_TEST(service.wait_until_ended() == 1);
    service.finish_loading();
    BOOST_TEST(service.exit_code() == 1);
}

BOOST_AUTO_TEST_CASE(queue_counts_choices_and_n_is_limited_by_max_num_seqs) {
    RunningService service({"--max-num-seqs", "2", "--max-queued-requests", "1"});
    service.control().close_gate();
    Connection pair(service.port());
    Connection single(service.port());
    Connection late(service.port());
    Connection triple(service.port());
    pair.send(chat_request("a", R"("max_tokens":5,"n":2)"));
    wait_for_in_flight(service.port(), 1);
    triple.send(chat_request("a", R"("max_tokens":5,"n":3)"));
    const auto too_many = triple.read_answer();
    BOOST_TEST(too_many.status == 400);
    BOOST_TEST(error_code_of(too_many) == "invalid_value");
    single.send(chat_request("a", R"("max_tokens":5)"));
    wait_for_in_flight(service.port(), 2);
    late.send(chat_request("a", R"("max_tokens":5)"));
    const auto full = late.read_answer();
    BOOST_TEST(full.status == 503);
    BOOST_TEST(error_code_of(full) == "server_overloaded");
    service.control().open_gate();
    BOOST_TEST(pair.read_answer().status == 200);
    BOOST_TEST(single.read_answer().status == 200);
    late.send(chat_request("a", R"("max_tokens":5)"));
    BOOST_TEST(late.read_answer().status == 200);  // is admitted, because the queue is empty again
}

BOOST_AUTO_TEST_CASE(shutdown_does_not_wait_for_an_engine_that_hangs) {
    RunningService service({"--engine-timeout", "0.3", "--drain-timeout", "0"});
    service.control().close_gate();
    auto client = std::make_unique<Connection>(service.port());
    client->send(chat_request("a", R"("max_tokens":100)"));
    service.control().wait_until_held();
    client.reset();  // without clients, the drain ends immediately and stops the watchdog
    std::raise(SIGTERM);
    std::raise(SIGTERM);
    BOOST_TEST(service.wait_until_ended() == 1);
    service.control().open_gate();
    BOOST_TEST(service.exit_code() == 1);
}

BOOST_AUTO_TEST_CASE(usage_tells_the_cached_tokens_of_a_repeated_prompt) {
    std::string user;
    for (int i = 0; i < 40; ++i) user += "word ";
    // Sends the same prompt twice and returns the number of cached tokens of each answer.
    const auto ask_twice = [&](const std::vector<std::string>& flags) {
        RunningService service(flags);
        Connection connection(service.port());
        std::vector<int> cached;
        for (int i = 0; i < 2; ++i) {
            connection.send(chat_request(user, R"("max_tokens":3)"));
            const auto usage = boost::json::parse(connection.read_answer().body).at("usage").as_object();
            cached.push_back(usage.at("prompt_tokens_details").at("cached_tokens").to_number<int>());
            BOOST_TEST(cached.back() < usage.at("prompt_tokens").to_number<int>());
        }
        return cached;
    };
    const auto cached = ask_twice({});
    BOOST_TEST(cached.front() == 0);
    BOOST_TEST(cached.back() >= 32);
    BOOST_TEST(ask_twice({"--no-prefix-cache"}) == (std::vector<int>{0, 0}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(logits_that_are_not_finite_end_only_their_own_request) {
    FakeOptions options;
    options.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.size() < 40) return std::nullopt;
        return SampledToken{.token = -1, .finite = false};
    };
    RunningService service({}, options);
    Connection bad(service.port());
    Connection good(service.port());
    bad.send(chat_request("a", R"("max_tokens":100)"));
    good.send(chat_request("a", R"("max_tokens":3)"));
    const auto answer = bad.read_answer();
    BOOST_TEST(answer.status == 500);
    BOOST_TEST(error_code_of(answer) == "numerical_error");
    BOOST_TEST(good.read_answer().status == 200);
}

BOOST_AUTO_TEST_CASE(error_within_a_stream_of_messages_is_its_last_event) {
    FakeOptions options;
    options.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.size() < 60) return std::nullopt;
        return SampledToken{.token = -1, .finite = false};
    };
    RunningService service({}, options);
    Connection connection(service.port());
    service.control().close_gate();
    connection.send(post_request(
        "/v1/messages", R"({"messages":[{"role":"user","content":"a"}],"max_tokens":100,"stream":true})"));
    for (int step = 0; step < 10; ++step) service.control().pass_one();
    connection.read_until("event: content_block_delta");
    service.control().open_gate();
    const auto answer = connection.read_answer();
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.complete);
    BOOST_TEST(answer.body.starts_with("event: message_start\n"), answer.body);
    BOOST_TEST(answer.body.find("event: content_block_delta\n") != std::string::npos, answer.body);
    const std::size_t last = answer.body.rfind("event: ");
    const std::string expected = "event: error\ndata: ";
    BOOST_REQUIRE(answer.body.substr(last).starts_with(expected));
    const auto event = boost::json::parse(answer.body.substr(last + expected.size()));
    BOOST_TEST(event.at("type") == "error");
    BOOST_TEST(event.at("error").at("type") == "api_error");
    BOOST_TEST(event.at("error").at("message").as_string().find("not finite") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(failure_of_one_choice_fails_the_answer_and_frees_all_blocks) {
    auto failures = std::make_shared<int>(0);
    FakeOptions options;
    options.script = [failures](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.size() < 60 || (*failures)++ != 1) return std::nullopt;  // only the second choice fails
        return SampledToken{.token = -1, .finite = false};
    };
    RunningService service({}, options);
    Connection connection(service.port());
    connection.send(chat_request("a", R"("max_tokens":1)"));
    const auto prompt_tokens =
        boost::json::parse(connection.read_answer().body).at("usage").at("prompt_tokens").to_number<int>();
    service.control().close_gate();
    connection.send(chat_request("a", R"("max_tokens":400,"n":3)"));
    for (int size = prompt_tokens; size <= 60; ++size) service.control().pass_one();
    const auto answer = connection.read_answer();
    BOOST_TEST(answer.status == 500);
    BOOST_TEST(error_code_of(answer) == "numerical_error");
    const auto before = service.control().steps();
    service.control().open_gate();
    wait_for_free_blocks(service.port());
    BOOST_TEST(service.control().steps() - before <= 1);
}

BOOST_AUTO_TEST_CASE(sigterm_finishes_running_answers_refuses_new_requests_and_exits_with_0) {
    RunningService service;
    service.control().close_gate();
    Connection idle(service.port());
    Connection stream(service.port());
    Connection late(service.port());
    late.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n");  // an unfinished header
    stream.send(chat_request("a", R"("max_tokens":20,"stream":true)"));
    service.control().wait_until_held();
    std::raise(SIGTERM);
    BOOST_TEST(idle.at_end());  // the server closes idle connections when it begins to drain
    late.send("Content-Type: application/json\r\nContent-Length: 48\r\n\r\n" +
              std::string(R"({"messages":[{"role":"user","content":"later"}]})"));
    const auto refused = late.read_answer();
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(error_code_of(refused) == "server_draining");
    // A client that connects during the drain also gets a status, and the time after which it should retry.
    Connection probe(service.port());
    probe.send(get_request("/v1/health/ready"));
    const auto health = probe.read_answer();
    BOOST_TEST(health.status == 503);
    BOOST_TEST(health.body == R"({"status":"draining"})");
    BOOST_TEST(health.has("Connection: close\r\n"));
    Connection newcomer(service.port());
    newcomer.send(chat_request("b"));
    const auto turned_away = newcomer.read_answer();
    BOOST_TEST(error_code_of(turned_away) == "server_draining");
    BOOST_TEST(turned_away.has("Retry-After: "));
    Connection silent(service.port());  // a client which sends nothing must not delay the drain
    service.control().open_gate();
    const auto answer = stream.read_answer();
    BOOST_TEST(streamed_text(answer.body) == service.reference_text("a", 20));
    BOOST_TEST(answer.body.ends_with("data: [DONE]\n\n"));
    BOOST_TEST(service.exit_code() == 0);
}

BOOST_AUTO_TEST_CASE(drain_timeout_ends_answers_with_an_error_object) {
    RunningService service({"--drain-timeout", "0"});
    service.control().close_gate();
    Connection stream(service.port());
    stream.send(chat_request("a", R"("max_tokens":400,"stream":true)"));
    service.control().wait_until_held();
    service.control().pass_one();
    stream.read_until("data: ");
    std::raise(SIGTERM);
    const auto answer = stream.read_answer();
    BOOST_TEST(answer.body.find(R"("code":"server_draining")") != std::string::npos);
    BOOST_TEST(answer.body.find("[DONE]") == std::string::npos);
    service.control().open_gate();
    BOOST_TEST(service.exit_code() == 0);
}

BOOST_AUTO_TEST_CASE(second_signal_sends_every_client_its_last_event_and_exits_with_75) {
    RunningService service({"--body-timeout", "3600"});
    service.control().close_gate();
    Connection stream(service.port());
    stream.send(chat_request("a", R"("max_tokens":400,"stream":true)"));
    service.control().wait_until_held();
    service.control().pass_one();
    stream.read_until("data: ");
    Connection whole(service.port());
    whole.send(chat_request("b", R"("max_tokens":400)"));
    WsClient socket(service.port());
    socket.send(create_message(R"("max_output_tokens":400)"));
    socket.read_until("response.created");
    wait_for_in_flight(service.port(), 3);
    Connection unfinished(service.port());  // this client never sends the body of its request
    unfinished.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        "Content-Type: application/json\r\nContent-Length: 48\r\n\r\n");
    unfinished.read_until("100 Continue");
    std::raise(SIGTERM);
    std::raise(SIGTERM);
    const auto streamed = stream.read_answer();
    BOOST_TEST(streamed.complete);
    BOOST_TEST(streamed.body.find(R"("code":"server_draining")") != std::string::npos);
    const auto refused = whole.read_answer();
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(error_code_of(refused) == "server_draining");
    const auto failed = socket.read_until("response.failed").back();
    const auto& error = failed.at("response").at("error");
    BOOST_TEST(error.at("code") == "server_error");  // no error code of the OpenAI API fits better
    BOOST_TEST(std::string_view(error.at("message").as_string()).starts_with("The server shut down"));
    BOOST_TEST(socket.read_close() == 1012);
    BOOST_TEST(unfinished.at_end());
    service.control().open_gate();
    BOOST_TEST(service.exit_code() == 75);
}

BOOST_AUTO_TEST_CASE(oversized_or_malformed_requests_are_answered_and_close_the_connection) {
    RunningService service({"--max-body-size", "1024", "--max-header-size", "2048", "--allowed-origins",
                            "https://chat.example"});
    const auto answer_to = [&](const std::string& bytes) {
        Connection connection(service.port());
        connection.send(bytes);
        auto answer = connection.read_answer();
        BOOST_TEST(answer.has("Connection: close"));
        BOOST_TEST(connection.at_end());
        return answer;
    };
    const std::string post =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    const auto large = answer_to(post + "Origin: https://chat.example\r\nContent-Length: 1025\r\n\r\n");
    BOOST_TEST(large.status == 413);
    BOOST_TEST(large.has("Access-Control-Allow-Origin: https://chat.example\r\n"));
    BOOST_TEST(error_code_of(large) == "payload_too_large");
    // The server refuses the request instead of sending 100 Continue.
    BOOST_TEST(answer_to(post + "Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n").status == 413);
    const auto chunked = answer_to(post + "Transfer-Encoding: chunked\r\n\r\n401\r\n" +
                                   std::string(1025, ' ') + "\r\n0\r\n\r\n");
    BOOST_TEST(chunked.status == 413);
    const auto header =
        answer_to("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(2100, 'x') + "\r\n\r\n");
    BOOST_TEST(header.status == 431);
    BOOST_TEST(error_code_of(header) == "headers_too_large");
    BOOST_TEST(answer_to("nonsense\r\n\r\n").status == 400);
    BOOST_TEST(answer_to(post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status ==
               400);

    Connection exact(service.port());
    const std::string body(1024, ' ');
    exact.send(post + "Expect: 100-continue\r\nContent-Length: 1024\r\n\r\n");
    exact.read_until("HTTP/1.1 100 Continue\r\n\r\n");
    exact.read_answer();
    exact.send(body);
    BOOST_TEST(error_code_of(exact.read_answer()) == "invalid_json");
}

BOOST_AUTO_TEST_CASE(wrong_requests_get_the_right_error_and_keep_the_connection) {
    RunningService service;
    Connection connection(service.port());
    const auto ask = [&](const std::string& bytes) {
        connection.send(bytes);
        return connection.read_answer();
    };
    BOOST_TEST(error_code_of(ask(get_request("/v1/nope"))) == "not_found");
    const auto verb = ask(get_request("/v1/chat/completions"));
    BOOST_TEST(verb.status == 405);
    BOOST_TEST(verb.has("Allow: POST\r\n"));
    const auto post = ask("POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    BOOST_TEST(post.has("Allow: GET, HEAD\r\n"));
    BOOST_TEST(error_code_of(ask(chat_request("a", R"("model":"other")"))) == "model_not_found");
    BOOST_TEST(error_code_of(ask(chat_request("a", R"("top_p":2)"))) == "invalid_value");
    BOOST_TEST(ask(get_request("/v1/models/solard-demo")).status == 200);
    BOOST_TEST(ask(get_request("/v1/models/other")).status == 404);
    BOOST_TEST(ask(get_request("/../etc/passwd")).status == 404);
    BOOST_TEST(ask(get_request("/assets/%2e%2e/%2e%2e/etc/passwd")).status == 404);
    BOOST_TEST(ask(get_request("/%zz")).status == 404);
}

BOOST_AUTO_TEST_CASE(context_length_is_checked_before_any_step) {
    RunningService service;  // 512 tokens
    Connection connection(service.port());
    std::string words;
    for (int i = 0; i < 600; ++i) words += "word ";
    connection.send(chat_request(words, R"("stream":true)"));
    const auto prompt = connection.read_answer();
    BOOST_TEST(prompt.status == 400);
    BOOST_TEST(error_code_of(prompt) == "context_length_exceeded");
    BOOST_TEST(prompt.body.find("maximum context length is 512 tokens") != std::string::npos);
    BOOST_TEST(service.control().steps() == 0);
}

BOOST_AUTO_TEST_CASE(ping_is_health_without_a_key_and_version_is_that_of_the_api) {
    RunningService service;
    Connection connection(service.port());
    for (const std::string method : {"GET", "POST"}) {
        connection.send(method + " /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        BOOST_TEST(connection.read_answer().status == 200, method);
    }
    connection.send(get_request("/version"));
    const auto version = connection.read_answer();
    connection.send(get_request("/v1/version"));
    BOOST_TEST(version.body == connection.read_answer().body);
}

BOOST_AUTO_TEST_CASE(unknown_path_says_where_the_api_is) {
    RunningService service;
    Connection connection(service.port());
    for (const std::string path : {"/chat/completions", "//v1/models", "/v1", "/api/tags"}) {
        connection.send(get_request(path));
        const auto answer = connection.read_answer();
        BOOST_TEST(answer.status == 404);
        BOOST_TEST(answer.body.find("the API is under /v1") != std::string::npos, path);
    }
    for (const std::string path : {"/chat/completions", "/v1/chat/completions/", "/v1//chat/completions",
                                   "/v1/v1/chat/completions", "//chat/completions"}) {
        connection.send(get_request(path));
        const auto answer = connection.read_answer();
        BOOST_TEST(answer.status == 404);
        BOOST_TEST(answer.body.find("did you mean /v1/chat/completions?") != std::string::npos, path);
    }
    for (const std::string path : {"/v1/embeddings", "/props", "/slots", "/api/tags"}) {
        connection.send(get_request(path));
        const auto answer = connection.read_answer();
        BOOST_TEST(answer.status == 404);
        BOOST_TEST(answer.body.find("did you mean") == std::string::npos, path);
    }
    connection.send(get_request("/v1/models"));
    const auto models = connection.read_answer();
    connection.send(get_request("/v1/models/"));
    BOOST_TEST(connection.read_answer().body == models.body);
}

BOOST_AUTO_TEST_CASE(max_tokens_is_an_upper_bound) {
    RunningService service;  // 512 tokens
    Connection connection(service.port());
    for (const std::string bound : {"512", "4096", "-1", "1e6"}) {
        connection.send(chat_request("a", R"("ignore_eos":true,"max_tokens":)" + bound));
        const auto answer = connection.read_answer();
        BOOST_TEST(answer.status == 200, bound);
        const auto body = boost::json::parse(answer.body);
        BOOST_TEST(body.at("usage").at("total_tokens") == 512);
        BOOST_TEST(body.at("choices").at(0).at("finish_reason") == "length");
    }
}

BOOST_AUTO_TEST_CASE(http_1_0_stream_ends_with_the_connection) {
    RunningService service;
    Connection connection(service.port());
    auto request = chat_request("a", R"("max_tokens":5,"stream":true)");
    request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
    connection.send(request);
    const auto answer = connection.read_answer();
    BOOST_TEST(!answer.has("chunked"));
    BOOST_TEST(streamed_text(answer.body) == service.reference_text("a", 5));
}

BOOST_AUTO_TEST_CASE(errors_that_repeat_bytes_of_a_request_are_valid_json) {
    RunningService service;
    Connection connection(service.port());
    for (const std::string path : {"/%ff%fe", "/v1/models/%c3", "/\xff"}) {
        connection.send(get_request(path));
        const auto answer = connection.read_answer();
        boost::json::error_code ec;
        boost::json::parse(answer.body, ec);
        BOOST_TEST(!ec, path);
    }
    const std::string name(199, 'x');
    connection.send(chat_request("a", "\"model\":\"" + name + "\xed\x95\x9c and so on\""));
    BOOST_TEST(error_code_of(connection.read_answer()) == "model_not_found");
}

BOOST_AUTO_TEST_CASE(text_too_long_for_any_context_is_refused_without_tokenizing) {
    RunningService service;
    Connection connection(service.port());
    connection.send(chat_request(std::string(1 << 20, 'x')));
    const auto answer = connection.read_answer();
    BOOST_TEST(error_code_of(answer) == "context_length_exceeded");
    BOOST_TEST(answer.body.find("bytes and at least") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(large_body_gets_the_same_answer_as_a_small_one) {
    RunningService service;
    Connection connection(service.port());
    const std::string padding = R"("max_tokens":5,"metadata":{"a":")" + std::string(100'000, 'x') + "\"}";
    connection.send(chat_request("hello", padding));
    const auto body = boost::json::parse(connection.read_answer().body);
    BOOST_TEST(std::string(body.at("choices").at(0).at("message").at("content").get_string()) ==
               service.reference_text("hello", 5));
}

BOOST_AUTO_TEST_CASE(engine_that_fails_during_a_drain_ends_the_process_with_1) {
    RunningService service;
    service.control().close_gate();
    Connection stream(service.port());
    stream.send(chat_request("a", R"("max_tokens":100,"stream":true)"));
    service.control().wait_until_held();
    service.control().fail_at_step(service.control().steps() + 2);
    Connection idle(service.port());
    std::raise(SIGTERM);
    BOOST_TEST(idle.at_end());  // the server closes idle connections when it begins to drain
    service.control().open_gate();
    BOOST_TEST(stream.read_answer().body.find(R"("code":"engine_unavailable")") != std::string::npos);
    BOOST_TEST(service.exit_code() == 1);
}

BOOST_AUTO_TEST_CASE(listener_takes_over_a_stale_unix_socket_but_not_a_live_one) {
    const std::string path = "solard_test_" + std::to_string(getpid()) + ".sock";
    boost::asio::io_context io;
    const auto config = parse_app_config({"--unix-socket", path}, {}).value();
    {
        // Closing this socket does not remove its file. A server that was killed leaves such a file behind.
        const boost::asio::local::stream_protocol::acceptor stale(io, path);
    }
    auto first = Listener::bind(io, config);
    BOOST_REQUIRE(first);
    BOOST_TEST(first->url() == "unix:" + path);
    const auto second = Listener::bind(io, config);
    BOOST_REQUIRE(!second);
    BOOST_TEST((second.error().code == errc::runtime_failure));
    // A second server must not take over the path of an open socket, even if the queue of connections of this
    // socket is full.
    std::vector<boost::asio::local::stream_protocol::socket> waiting;
    for (boost::system::error_code ec; !ec;) {
        auto& client = waiting.emplace_back(io);
        client.open({});
        fcntl(client.native_handle(), F_SETFL, O_NONBLOCK);
        const boost::asio::local::stream_protocol::endpoint address(path);
        if (connect(client.native_handle(), address.data(), static_cast<socklen_t>(address.size())) != 0)
            ec = boost::asio::error::would_block;
    }
    BOOST_TEST(!Listener::bind(io, config));
    bool empty = false;
    first->drain([&] { empty = true; });
    BOOST_TEST(empty);
    BOOST_TEST(!std::filesystem::exists(path));
}

BOOST_AUTO_TEST_CASE(address_reachable_from_outside_needs_keys_or_allow_anonymous) {
    const auto exposure = [](const std::vector<std::string>& flags) {
        return check_exposure(parse_app_config(flags, {}).value());
    };
    BOOST_TEST(exposure({}).has_value());
    BOOST_TEST(exposure({"--host", "::1"}).has_value());
    BOOST_TEST(exposure({"--host", "0.0.0.0", "--allow-anonymous"}).has_value());
    BOOST_TEST((exposure({"--host", "0.0.0.0"}).error().code == errc::bad_configuration));
    BOOST_TEST(exposure({"--host", "example"}).error().message.find("IP address") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
