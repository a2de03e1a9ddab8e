// The events of a response as every reader gets them, from the first and from any cursor.
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "server/response_store.hpp"
#include "tests/support/demo_tokenizer.hpp"

using namespace solard;

namespace {

struct Event {
    std::string type;
    std::int64_t number;
    boost::json::object body;
};

// A response whose log the test fills, and readers of it.
struct Response {
    Response() {
        record.facts.id = "resp_1";
        record.facts.item_id = "msg_1";
        record.log = std::make_shared<ResponseLog>(1);
    }

    // Everything that a reader with this cursor gets now, read in one go.
    std::vector<Event> read(std::int64_t starting_after = -1) {
        std::string out;
        ResponseEvents events(record.facts, demo_tokenizer(), starting_after, out);
        LogReader reader(*record.log, io.get_executor(), events.first_entry());
        step(events, reader);
        return parse(out);
    }
    void step(ResponseEvents& events, LogReader& reader) {
        const auto& deltas = reader.read();
        events.write(record.state(), deltas.empty() ? nullptr : &deltas.front(), reader.position());
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
    ResponseRecord record;
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

}  // namespace

BOOST_AUTO_TEST_SUITE(response_events)

BOOST_AUTO_TEST_CASE(each_stage_is_told_once_when_it_is_reached) {
    Response response;
    std::string out;
    ResponseEvents events(response.record.facts, demo_tokenizer(), -1, out);
    LogReader reader(*response.record.log, response.io.get_executor());
    const auto told = [&] {
        out.clear();
        response.step(events, reader);
        return types_of(Response::parse(out));
    };
    using Types = std::vector<std::string>;
    BOOST_TEST(told() == (Types{"0 response.created"}), boost::test_tools::per_element());
    BOOST_TEST(told().empty());
    response.record.log->set_queued();
    BOOST_TEST(told() == (Types{"1 response.queued"}), boost::test_tools::per_element());
    response.record.log->set_started();
    BOOST_TEST(told() == (Types{"2 response.in_progress"}), boost::test_tools::per_element());
    response.record.log->append({.text = "a", .num_tokens = 1});
    BOOST_TEST(told() == (Types{"3 response.output_item.added", "4 response.content_part.added",
                                "5 response.output_text.delta"}),
               boost::test_tools::per_element());
    response.record.log->append({.num_tokens = 1});  // whose text is held back
    BOOST_TEST(told().empty());
    response.record.log->append({.text = "b", .num_tokens = 1});
    response.record.log->append({.text = "c", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST(told() == (Types{"8 response.output_text.delta", "9 response.output_text.done",
                                "10 response.content_part.done", "11 response.output_item.done",
                                "12 response.completed"}),
               boost::test_tools::per_element());
    BOOST_TEST(told().empty());
}

BOOST_AUTO_TEST_CASE(whatever_was_read_before_the_rest_makes_the_same_text_with_the_same_numbers) {
    Response response;
    response.record.log->set_started();
    const std::vector<std::string> pieces{"The", "", " capital", " \xed\x95\x9c", "\n", "end"};
    for (const auto& piece : pieces) response.record.log->append({.text = piece, .num_tokens = 1});
    response.record.log->append({.num_tokens = 1, .finish = FinishReason::length});
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

BOOST_AUTO_TEST_CASE(a_cancelled_response_keeps_what_was_said_and_a_failed_one_says_why) {
    Response cancelled;
    cancelled.record.log->set_started();
    cancelled.record.log->append({.text = "So", .num_tokens = 1});
    cancelled.record.log->fail({errc::request_cancelled, "gone"});
    const auto end = cancelled.read().back();
    BOOST_TEST(end.type == "response.incomplete");
    const auto& response = end.body.at("response").as_object();
    BOOST_TEST(response.at("status") == "cancelled");
    BOOST_TEST(response.at("incomplete_details").at("reason") == "cancelled");
    BOOST_TEST(response.at("output").at(0).at("content").at(0).at("text") == "So");
    BOOST_TEST(response.at("output").at(0).at("status") == "incomplete");

    Response failed;
    failed.record.log->fail({errc::queue_timeout, "waited too long"});
    const auto events = failed.read();
    BOOST_REQUIRE(events.size() == 2);  // created, and one terminal
    BOOST_TEST(events[1].type == "response.failed");
    BOOST_TEST(events[1].body.at("response").at("error") ==
               boost::json::parse(R"({"code":"server_error","message":"waited too long"})"));
    BOOST_TEST(events[1].body.at("response").at("output").as_array().empty());
}

BOOST_AUTO_TEST_CASE(logprobs_ride_with_their_deltas_and_stand_whole_at_the_end) {
    Response response;
    response.record.facts.request.generation.sampling.num_logprobs = 0;
    response.record.log->set_started();
    const std::vector<TokenLogprob> logprobs{{300, -1}, {301, -2}, {302, -3}};
    const std::span all(logprobs);
    response.record.log->append({.text = "a", .num_tokens = 1, .logprobs = all.subspan(0, 1)});
    response.record.log->append({.num_tokens = 1, .logprobs = all.subspan(1, 1)});
    response.record.log->append(
        {.text = "b", .num_tokens = 1, .finish = FinishReason::stop, .logprobs = all.subspan(2, 1)});
    const auto rest = response.read(5);
    BOOST_TEST(rest.front().body.at("logprobs").as_array().size() == 2);
    BOOST_TEST(rest.front().body.at("logprobs").at(0).at("logprob").to_number<int>() == -2);
    const auto& output = rest.back().body.at("response").at("output").at(0).at("content").at(0);
    BOOST_TEST(output.at("logprobs").as_array().size() == 3);
    BOOST_TEST(rest[1].body.at("logprobs").as_array().size() == 3);  // of output_text.done
}

BOOST_AUTO_TEST_SUITE_END()
