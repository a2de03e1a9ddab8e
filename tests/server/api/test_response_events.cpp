// Tests the events of a response. A reader begins with the first event or with any later event.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <iterator>
#include <utility>

#include "server/responses/response_cursor.hpp"
#include "tests/support/demo_tokenizer.hpp"

namespace solard::server {

namespace {

struct Event {
    std::string type;
    std::int64_t number;
    boost::json::object body;
};

// A response whose log the test fills, and its readers.
struct Response {
    Response() {
        record->facts.id = "resp_1";
        record->facts.item_id = "msg_1";
        record->log = std::make_shared<GenerationLog>(1);
    }

    // Returns a new reader.
    ResponseCursor cursor(std::int64_t starting_after = -1, EventForm form = {}) {
        return {record, demo_tokenizer(), wakeup, std::move(form), starting_after};
    }
    // Returns all events which the cursor has ready at the time `now`.
    static std::string drain(ResponseCursor& cursor, ResponseCursor::Clock::time_point now = {}) {
        std::string out;
        while (cursor.next(now, out)) {
        }
        return out;
    }
    std::vector<Event> read(std::int64_t starting_after = -1) {
        auto reader = cursor(starting_after);
        return parse(drain(reader));
    }
    static std::vector<Event> parse(const std::string& out) {
        std::vector<Event> events;
        for (std::size_t at = 0; at < out.size();) {
            const auto data = out.find("\ndata: ", at) + 7;
            const auto end = out.find("\n\n", data);
            auto body = boost::json::parse(out.substr(data, end - data)).as_object();
            const std::string type(body.at("type").as_string());
            BOOST_TEST(out.substr(at, data - at) == "event: " + type + "\ndata: ");
            events.push_back({type, body.at("sequence_number").as_int64(), std::move(body)});
            at = end + 2;
        }
        return events;
    }

    boost::asio::io_context io;
    Wakeup wakeup{io.get_executor()};
    ResponsePtr record = std::make_shared<ResponseRecord>();
};

std::vector<std::string> types_of(const std::vector<Event>& events) {
    std::vector<std::string> types;
    types.reserve(events.size());
    for (const auto& event : events) types.push_back(std::to_string(event.number) + " " + event.type);
    return types;
}

std::string text_of(const std::vector<Event>& events) {
    std::string text;
    for (const auto& event : events) {
        if (event.type == "response.output_text.delta") text += event.body.at("delta").as_string();
    }
    return text;
}

// Follows events as a client does, and checks that they fit together.
class Follower {
  public:
    void follow(const Event& event) {
        if (event.type == "response.output_item.added") {
            BOOST_TEST(index_of(event) == contents_.size());
            contents_.emplace_back();
            is_open_ = true;
        } else if (event.type.ends_with(".delta")) {
            BOOST_TEST(is_open_);
            contents_.at(index_of(event)) += event.body.at("delta").as_string();
        } else if (event.type.ends_with(".done") && event.type != "response.output_item.done") {
            for (const char* name : {"text", "arguments", "input"})
                if (const auto* content = event.body.if_contains(name))
                    BOOST_TEST(content->as_string() == contents_.at(index_of(event)));
        } else if (event.type == "response.output_item.done") {
            BOOST_TEST(index_of(event) + 1 == contents_.size());
            BOOST_TEST(std::exchange(is_open_, false));
        }
    }
    const std::vector<std::string>& contents() const { return contents_; }
    bool is_open() const { return is_open_; }

  private:
    static std::size_t index_of(const Event& event) {
        return static_cast<std::size_t>(event.body.at("output_index").as_int64());
    }
    std::vector<std::string> contents_;
    bool is_open_ = false;
};

// Returns a response whose output may call the tools f and, with a text, note.
void allow_calls(Response& response) {
    response.record->facts.may_call = true;
    response.record->log = std::make_shared<GenerationLog>(1, false, 1, CallRules{hermes_form, {"note"}});
    response.record->log->set_started();
}

const std::vector<std::string> pieces_with_calls{
    "",
    "I call",
    " f:\n<",
    "tool_call>\n{\"name\": \"f\", \"arg",
    "uments\": {\"a\"",
    ": 1}}\n</tool_call>\n<tool_",
    "call>\n{\"name\": \"note\", \"arguments\": {\"input\": \"x\\ny\"}}\n</tool_",
    "call> So",
    "."};

}  // namespace

BOOST_AUTO_TEST_SUITE(response_events)

BOOST_AUTO_TEST_CASE(calls_are_items_with_events_of_their_own) {
    Response response;
    allow_calls(response);
    auto reader = response.cursor();
    std::vector<Event> live;
    const auto read_more = [&] {
        std::ranges::move(Response::parse(Response::drain(reader)), std::back_inserter(live));
    };
    for (const auto& piece : pieces_with_calls) {
        response.record->log->append({.text = piece, .num_tokens = 1});
        read_more();
    }
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::stop});
    read_more();
    std::vector<std::string> types;
    for (const auto& event : live)
        if (!event.type.ends_with(".delta")) types.push_back(event.type.substr(9));
    const std::vector<std::string> expected{"created",
                                            "in_progress",
                                            "output_item.added",
                                            "content_part.added",
                                            "output_text.done",
                                            "content_part.done",
                                            "output_item.done",
                                            "output_item.added",
                                            "function_call_arguments.done",
                                            "output_item.done",
                                            "output_item.added",
                                            "custom_tool_call_input.done",
                                            "output_item.done",
                                            "output_item.added",
                                            "content_part.added",
                                            "output_text.done",
                                            "content_part.done",
                                            "output_item.done",
                                            "completed"};
    BOOST_TEST(types == expected, boost::test_tools::per_element());
    const auto& output = live.back().body.at("response").at("output").as_array();
    BOOST_REQUIRE(output.size() == 4U);
    BOOST_TEST(output[0].at("content").at(0).at("text") == "I call f:");
    BOOST_TEST(output[1].at("type") == "function_call");
    BOOST_TEST(output[1].at("name") == "f");
    BOOST_TEST(output[1].at("arguments") == R"({"a": 1})");
    BOOST_TEST(output[1].at("status") == "completed");
    BOOST_TEST(output[2].at("type") == "custom_tool_call");
    BOOST_TEST(output[2].at("input") == "x\ny");
    BOOST_TEST(output[3].at("content").at(0).at("text") == " So.");
    for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < i; ++j) BOOST_TEST(output[i].at("id") != output[j].at("id"));
    for (std::size_t i = 1; i < live.size(); ++i) BOOST_TEST(live[i].number > live[i - 1].number);

    // A client that stops anywhere can go on from there.
    for (std::size_t stop = 0; stop <= live.size(); ++stop) {
        Follower follower;
        for (std::size_t i = 0; i < stop; ++i) follower.follow(live[i]);
        const auto rest = response.read(stop == 0 ? -1 : live[stop - 1].number);
        for (const auto& event : rest) follower.follow(event);
        BOOST_TEST_CONTEXT("after " << stop) {
            BOOST_TEST(
                follower.contents() == (std::vector<std::string>{"I call f:", R"({"a": 1})", "x\ny", " So."}),
                boost::test_tools::per_element());
            BOOST_TEST(!follower.is_open());
            BOOST_TEST((stop == live.size() || rest.back().type == "response.completed"));
        }
    }
}

BOOST_AUTO_TEST_CASE(call_that_is_cut_is_incomplete) {
    Response response;
    allow_calls(response);
    for (std::size_t i = 0; i < 5; ++i)
        response.record->log->append({.text = pieces_with_calls[i], .num_tokens = 1});
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::length});
    const auto events = response.read();
    BOOST_TEST(events.back().type == "response.incomplete");
    const auto& output = events.back().body.at("response").at("output").as_array();
    BOOST_REQUIRE(output.size() == 2U);
    BOOST_TEST(output[0].at("status") == "completed");
    BOOST_TEST(output[1].at("status") == "incomplete");
    BOOST_TEST(output[1].at("arguments") == R"({"a")");
}

BOOST_AUTO_TEST_CASE(each_stage_is_sent_once_when_it_is_reached) {
    Response response;
    auto reader = response.cursor();
    const auto sent = [&] { return types_of(Response::parse(Response::drain(reader))); };
    using Types = std::vector<std::string>;
    BOOST_TEST(sent() == (Types{"0 response.created"}), boost::test_tools::per_element());
    BOOST_TEST(sent().empty());
    response.record->log->set_queued();
    BOOST_TEST(sent() == (Types{"1 response.queued"}), boost::test_tools::per_element());
    response.record->log->set_started();
    BOOST_TEST(sent() == (Types{"2 response.in_progress"}), boost::test_tools::per_element());
    response.record->log->append({.text = "a", .num_tokens = 1});
    BOOST_TEST(sent() == (Types{"3 response.output_item.added", "4 response.content_part.added",
                                "5 response.output_text.delta"}),
               boost::test_tools::per_element());
    response.record->log->append({.num_tokens = 1});  // a token without text yet
    BOOST_TEST(sent().empty());
    response.record->log->append({.text = "b", .num_tokens = 1});
    response.record->log->append({.text = "c", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST(sent() == (Types{"8 response.output_text.delta", "9 response.output_text.done",
                                "10 response.content_part.done", "11 response.output_item.done",
                                "12 response.completed"}),
               boost::test_tools::per_element());
    BOOST_TEST(sent().empty());
}

BOOST_AUTO_TEST_CASE(reading_from_any_cursor_completes_the_same_text_with_the_same_numbers) {
    Response response;
    response.record->log->set_started();
    const std::vector<std::string> pieces{"The", "", " capital", " \xed\x95\x9c", "\n", "end"};
    for (const auto& piece : pieces) response.record->log->append({.text = piece, .num_tokens = 1});
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::length});
    const auto whole = response.read();
    const std::string text = text_of(whole);
    std::int64_t last = whole.back().number;
    BOOST_TEST(last == 5 + 7 + 3);
    for (std::int64_t cursor = -1; cursor <= last; ++cursor) {
        const auto rest = response.read(cursor);
        std::string begun;
        for (std::int64_t entry = 0; entry < static_cast<std::int64_t>(pieces.size()) && entry + 5 <= cursor;
             ++entry)
            begun += pieces[static_cast<std::size_t>(entry)];
        BOOST_TEST(begun + text_of(rest) == text, "after " << cursor);
        for (const auto& event : rest) BOOST_TEST(event.number > cursor);
        if (cursor < last) {
            BOOST_TEST(rest.back().type == "response.incomplete");
            BOOST_TEST(rest.back().number == last);
        } else {
            BOOST_TEST(rest.empty());
        }
    }
}

BOOST_AUTO_TEST_CASE(cancelled_response_keeps_its_text_and_failed_response_has_an_error) {
    Response cancelled;
    cancelled.record->log->set_started();
    cancelled.record->log->append({.text = "So", .num_tokens = 1});
    cancelled.record->log->fail({errc::request_cancelled, "gone"});
    const auto end = cancelled.read().back();
    BOOST_TEST(end.type == "response.incomplete");
    const auto& response = end.body.at("response").as_object();
    BOOST_TEST(response.at("status") == "cancelled");
    BOOST_TEST(response.at("incomplete_details").at("reason") == "cancelled");
    BOOST_TEST(response.at("output").at(0).at("content").at(0).at("text") == "So");
    BOOST_TEST(response.at("output").at(0).at("status") == "incomplete");

    Response failed;
    failed.record->log->fail({errc::queue_timeout, "waited too long"});
    const auto events = failed.read();
    BOOST_REQUIRE(events.size() == 2);  // response.created and the terminal event
    BOOST_TEST(events[1].type == "response.failed");
    BOOST_TEST(events[1].body.at("response").at("error") ==
               boost::json::parse(R"({"code":"server_error","message":"waited too long"})"));
    BOOST_TEST(events[1].body.at("response").at("output").as_array().empty());
}

BOOST_AUTO_TEST_CASE(deltas_have_their_logprobs_and_the_last_events_have_all) {
    Response response;
    response.record->facts.request.generation.sampling.num_logprobs = 0;
    response.record->log->set_started();
    const std::vector<TokenLogprob> logprobs{{300, -1}, {301, -2}, {302, -3}};
    const std::span all(logprobs);
    response.record->log->append({.text = "a", .num_tokens = 1, .logprobs = all.subspan(0, 1)});
    response.record->log->append({.num_tokens = 1, .logprobs = all.subspan(1, 1)});
    response.record->log->append(
        {.text = "b", .num_tokens = 1, .finish = FinishReason::stop, .logprobs = all.subspan(2, 1)});
    const auto rest = response.read(5);
    BOOST_TEST(rest.front().body.at("logprobs").as_array().size() == 2);
    BOOST_TEST(rest.front().body.at("logprobs").at(0).at("logprob").to_number<int>() == -2);
    const auto& output = rest.back().body.at("response").at("output").at(0).at("content").at(0);
    BOOST_TEST(output.at("logprobs").as_array().size() == 3);
    BOOST_TEST(rest[1].body.at("logprobs").as_array().size() == 3);  // the logprobs of output_text.done
}

BOOST_AUTO_TEST_CASE(slow_reader_gets_fewer_larger_deltas_of_at_most_16_kib) {
    Response response;
    response.record->log->set_started();
    auto lagging = response.cursor();
    Response::drain(lagging);
    std::string text;
    for (int i = 0; i < 10'000; ++i) {
        const std::string piece = "word" + std::to_string(i) + " ";
        response.record->log->append({.text = piece, .num_tokens = 1});
        text += piece;
    }
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::stop});
    const auto events = Response::parse(Response::drain(lagging));
    BOOST_TEST(text_of(events) == text);
    for (const Event& event : events) {
        const auto* delta = event.body.if_contains("delta");
        BOOST_TEST((delta == nullptr || delta->as_string().size() <= 16 << 10));
    }
    const auto num_deltas = std::ranges::count(events, "response.output_text.delta", &Event::type);
    BOOST_TEST(num_deltas == static_cast<std::ptrdiff_t>(text.size() / (16 << 10) + 1));
    const auto& telemetry = events.back().body.at("response").at("solar");
    BOOST_TEST(telemetry.at("frames_merged").as_int64() + num_deltas == 10'001);
}

BOOST_AUTO_TEST_CASE(long_last_events_come_in_pieces_and_on_a_socket_whole) {
    Response response;
    response.record->facts.request.generation.sampling.num_logprobs = 0;
    response.record->log->set_started();
    const std::vector<TokenLogprob> logprobs(1, {300, -1});
    for (int i = 0; i < 5000; ++i)
        response.record->log->append({.text = "word ", .num_tokens = 1, .logprobs = logprobs});
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::stop});
    constexpr std::int64_t last_delta = 5005;
    const auto pieces = [&](bool server_sent) {
        auto reader = response.cursor(last_delta, {.server_sent = server_sent});
        std::vector<std::string> all;
        for (std::string piece; reader.next({}, piece); piece.clear()) all.push_back(piece);
        BOOST_TEST(reader.at_end());
        BOOST_TEST(!reader.is_broken());
        return all;
    };
    std::string stream;
    for (const auto& piece : pieces(true)) {
        BOOST_TEST(piece.size() <= ResponseCursor::max_piece_bytes + 8192);
        stream += piece;
    }
    const auto events = Response::parse(stream);
    const auto frames = pieces(false);
    BOOST_REQUIRE(frames.size() == 4U);
    BOOST_REQUIRE(events.size() == 4U);
    BOOST_TEST(pieces(true).size() > 12U);
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST((boost::json::parse(frames[i]) == events[i].body));
}

BOOST_AUTO_TEST_CASE(deltas_keep_max_delta_hz_and_the_end_does_not_wait) {
    using namespace std::chrono_literals;
    Response response;
    response.record->facts.request.max_delta_hz = 10;
    response.record->log->set_started();
    auto reader = response.cursor();
    const ResponseCursor::Clock::time_point start{1h};
    const auto num_deltas = [&](auto after) {
        const auto events = Response::parse(Response::drain(reader, start + after));
        return std::ranges::count(events, "response.output_text.delta", &Event::type);
    };
    const auto append = [&](FinishReason finish = FinishReason::none) {
        response.record->log->append({.text = "x", .num_tokens = 1, .finish = finish});
    };
    append();
    BOOST_TEST(num_deltas(0ms) == 1);
    append();
    append();
    BOOST_TEST(!reader.ready(start + 99ms));
    BOOST_TEST((reader.due() == start + 100ms));
    BOOST_TEST(num_deltas(99ms) == 0);
    BOOST_TEST(reader.ready(start + 100ms));
    BOOST_TEST(num_deltas(100ms) == 1);
    append(FinishReason::stop);
    BOOST_TEST(reader.ready(start + 101ms));
    BOOST_TEST(num_deltas(101ms) == 1);
    BOOST_TEST(reader.at_end());
}

BOOST_AUTO_TEST_CASE(socket_events_have_a_lane_and_large_last_events_omit_logprobs) {
    Response response;
    response.record->facts.request.generation.sampling.num_logprobs = 0;
    response.record->log->set_started();
    const std::vector<TokenLogprob> logprobs(1, {300, -1});
    for (int i = 0; i < 100; ++i)
        response.record->log->append({.text = "a", .num_tokens = 1, .logprobs = logprobs});
    response.record->log->append({.num_tokens = 1, .finish = FinishReason::stop});
    const auto read = [&](std::size_t max_bytes) {
        auto reader =
            response.cursor(-1, {.server_sent = false, .stream_id = "tab1", .max_bytes = max_bytes});
        std::vector<boost::json::object> events;
        for (std::string frame; reader.next({}, frame); frame.clear())
            events.push_back(boost::json::parse(frame).as_object());
        return events;
    };
    for (const auto& event : read(SIZE_MAX)) {
        BOOST_TEST(event.at("stream_id") == "tab1");
        BOOST_TEST(event.at("response_id") == "resp_1");
    }
    const auto num_logprobs = [](const boost::json::object& terminal) {
        const auto& part = terminal.at("response").at("output").at(0).at("content").at(0);
        return part.at("logprobs").as_array().size();
    };
    const auto whole = read(SIZE_MAX);
    BOOST_TEST(num_logprobs(whole.back()) == 100);
    BOOST_TEST(!whole.back().at("response").at("solar").as_object().contains("logprobs_omitted"));
    const auto size = boost::json::serialize(whole[whole.size() - 4]).size();  // the event output_text.done
    for (const auto& event : read(size / 2)) {
        if (event.at("type") != "response.output_text.done") continue;
        BOOST_TEST(event.at("logprobs").as_array().empty());
        BOOST_TEST(event.at("text").as_string().size() == 100);
    }
    const auto cut = read(size / 2);
    BOOST_TEST(num_logprobs(cut.back()) == 0);
    BOOST_TEST(cut.back().at("response").at("solar").at("logprobs_omitted").as_bool());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
