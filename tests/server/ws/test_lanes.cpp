// Tests WsLanes, which handles the lanes of a socket. The test needs no socket.
#include <boost/test/unit_test.hpp>
#include <memory>

#include "server/ws/lanes.hpp"

namespace solard::server {

namespace {

LaneRequest request(std::string event_id = {}, std::size_t bytes = 100) {
    return {std::move(event_id), bytes, ResponseRequest{}};
}

LaneRequest wrong_request() {
    return {"", 100, Error{errc::invalid_value, "wrong"}};
}

ResponsePtr response(std::string id, bool store = true) {
    auto record = std::make_shared<ResponseRecord>();
    record->facts.id = std::move(id);
    record->facts.request.store = store;
    return record;
}

// Returns "lane:event_id" of the next request that can begin, or "-" if no request can begin.
std::string next(WsLanes& lanes) {
    const auto turn = lanes.next();
    return turn ? turn->lane + ":" + turn->queued.event_id : "-";
}

errc code_of(const WsLanes::Turn& turn) {
    return turn.queued.request.error().code;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ws_lanes)

BOOST_AUTO_TEST_CASE(lane_runs_one_request_at_a_time_and_lanes_run_together) {
    WsLanes lanes({});
    for (const auto* id : {"1", "2"}) BOOST_TEST(lanes.add("", request(id)).has_value());
    for (const auto* id : {"3", "4"}) BOOST_TEST(lanes.add("tab", request(id)).has_value());
    BOOST_TEST(next(lanes) == ":1");
    BOOST_TEST(next(lanes) == "tab:3");
    BOOST_TEST(next(lanes) == "-");
    BOOST_TEST(lanes.begun("tab", response("a")));
    BOOST_TEST(next(lanes) == "-");  // the response on lane `tab` still runs
    lanes.ended("tab");
    BOOST_TEST(next(lanes) == "tab:4");
    lanes.refused("", std::nullopt);
    BOOST_TEST(next(lanes) == ":2");
    lanes.refused("", std::nullopt);
    lanes.refused("tab", std::nullopt);
    BOOST_TEST(lanes.idle());
}

BOOST_AUTO_TEST_CASE(oldest_request_is_next_if_few_may_run) {
    WsLanes lanes({.max_in_flight = 2});
    for (const auto* lane : {"d", "b", "c", "a"}) BOOST_TEST(lanes.add(lane, request()).has_value());
    BOOST_TEST(next(lanes) == "d:");
    BOOST_TEST(next(lanes) == "b:");
    BOOST_TEST(next(lanes) == "-");
    lanes.begun("b", response("1"));
    lanes.ended("b");
    BOOST_TEST(next(lanes) == "c:");
    lanes.refused("d", std::nullopt);
    BOOST_TEST(next(lanes) == "a:");
}

BOOST_AUTO_TEST_CASE(invalid_request_waits_for_its_turn_and_does_not_count_as_in_flight) {
    WsLanes lanes({.max_in_flight = 1});
    BOOST_TEST(lanes.add("a", request()).has_value());
    BOOST_TEST(lanes.add("a", wrong_request()).has_value());
    BOOST_TEST(lanes.add("b", wrong_request()).has_value());
    BOOST_TEST(next(lanes) == "a:");
    const auto refusal = lanes.next();  // the request on b, because lane b is free
    BOOST_REQUIRE(refusal.has_value());
    BOOST_TEST(refusal->lane == "b");
    BOOST_TEST((code_of(*refusal) == errc::invalid_value));
    lanes.refused("b", std::nullopt);
    BOOST_TEST(!lanes.next().has_value());
    lanes.begun("a", response("1"));
    lanes.ended("a");
    BOOST_TEST((code_of(lanes.next().value()) == errc::invalid_value));
}

BOOST_AUTO_TEST_CASE(at_most_32_lanes_have_names_and_the_default_lane_does_not_count) {
    WsLanes lanes({});
    BOOST_TEST(lanes.add("", request()).has_value());
    for (int i = 0; i < 32; ++i) BOOST_TEST(lanes.add("lane" + std::to_string(i), request()).has_value());
    BOOST_TEST((lanes.add("one more", request()).error().code == errc::websocket_stream_limit_reached));
    BOOST_TEST(
        (lanes.attach("one more", response("1")).error().code == errc::websocket_stream_limit_reached));
    BOOST_TEST(lanes.add("lane31", request()).has_value());
    while (const auto turn = lanes.next()) lanes.refused(turn->lane, std::nullopt);
    BOOST_TEST((lanes.add("one more", request()).error().code == errc::websocket_stream_limit_reached));
}

BOOST_AUTO_TEST_CASE(requests_over_the_limits_are_refused_at_their_turn) {
    WsLanes lanes({.max_waiting = 2, .max_waiting_bytes = 1000});
    BOOST_TEST(lanes.add("a", request("runs")).has_value());
    BOOST_TEST(next(lanes) == "a:runs");
    BOOST_TEST(lanes.add("a", request("1", 400)).has_value());
    BOOST_TEST((lanes.add("a", request("too large", 601)).error().code == errc::websocket_queue_full));
    BOOST_TEST(lanes.add("a", request("2", 600)).has_value());
    BOOST_TEST((lanes.add("a", request("too many", 0)).error().code == errc::websocket_queue_full));
    BOOST_TEST(lanes.add("b", request("", 5000)).has_value());  // does not wait, because lane b is free
    BOOST_TEST(next(lanes) == "b:");
    BOOST_TEST(lanes.num_waiting() == 4U);  // includes the requests which will be refused
    for (const auto* id : {"1", "too large", "2", "too many"}) {
        lanes.refused("a", std::nullopt);
        const auto turn = lanes.next();
        BOOST_REQUIRE(turn.has_value());
        BOOST_TEST(turn->queued.event_id == id);
        const bool is_refusal = !turn->queued.request.has_value();
        BOOST_TEST(is_refusal == std::string_view(id).starts_with("too"));
        if (is_refusal) BOOST_TEST((code_of(*turn) == errc::websocket_queue_full));
    }
}

BOOST_AUTO_TEST_CASE(request_which_begins_at_once_does_not_count_as_waiting) {
    WsLanes lanes({.max_waiting = 0});
    BOOST_TEST(lanes.add("a", request()).has_value());
    BOOST_TEST(next(lanes) == "a:");
    BOOST_TEST(!lanes.add("a", request()).has_value());
    BOOST_TEST(lanes.add("b", request()).has_value());
}

BOOST_AUTO_TEST_CASE(cancel_finds_active_response_one_being_created_and_waiting_request) {
    WsLanes lanes({.max_in_flight = 1});
    BOOST_TEST((lanes.cancel("a").error().code == errc::response_not_found));
    lanes.add("a", request());
    lanes.add("b", request("b1"));
    lanes.next();
    BOOST_TEST((lanes.cancel("a").value() == nullptr));  // the response on lane a does not exist yet
    const auto active = response("1");
    BOOST_TEST(!lanes.begun("a", active));
    BOOST_TEST((lanes.cancel("a").value() == active));
    lanes.ended("a");
    BOOST_TEST((lanes.cancel("a").error().code == errc::response_already_completed));
    BOOST_TEST(active.use_count() == 1);                 // a lane does not keep a stored response
    BOOST_TEST((lanes.cancel("b").value() == nullptr));  // the request on lane b still waits
    BOOST_TEST((code_of(lanes.next().value()) == errc::request_cancelled));
    lanes.refused("b", std::nullopt);
    lanes.add("a", request());
    lanes.next();
    BOOST_TEST(lanes.begun("a", response("2")));  // the earlier cancellation must have no effect
}

BOOST_AUTO_TEST_CASE(all_waiting_requests_of_a_lane_can_be_cancelled_without_effect_on_other_lanes) {
    WsLanes lanes({.max_in_flight = 1, .max_waiting = 3});
    lanes.add("a", request("runs"));
    lanes.next();
    lanes.begun("a", response("1"));
    for (const auto* id : {"1", "2"}) lanes.add("a", request(id));
    lanes.add("b", request("other"));
    lanes.cancel_waiting("a");
    lanes.cancel_waiting("never used");
    BOOST_TEST(lanes.add("b", request("fits again")).has_value());
    BOOST_TEST(next(lanes) == "-");  // a cancelled request is refused only when its lane is free
    lanes.ended("a");
    for (const auto* id : {"1", "2"}) {
        const auto turn = lanes.next().value();
        BOOST_TEST(turn.queued.event_id == id);
        BOOST_TEST((code_of(turn) == errc::request_cancelled));
        lanes.refused("a", std::nullopt);
    }
    BOOST_TEST(next(lanes) == "b:other");
}

BOOST_AUTO_TEST_CASE(busy_lane_or_one_with_waiting_requests_refuses_attach) {
    WsLanes lanes({});
    BOOST_TEST(lanes.attach("a", response("1")).has_value());
    BOOST_TEST((lanes.attach("a", response("2")).error().code == errc::lane_busy));
    lanes.add("a", request());
    BOOST_TEST(next(lanes) == "-");
    lanes.detach("a");
    BOOST_TEST((lanes.attach("a", response("2")).error().code == errc::lane_busy));
    BOOST_TEST(next(lanes) == "a:");
}

BOOST_AUTO_TEST_CASE(lane_remembers_its_newest_unstored_response_until_a_continuation_fails) {
    WsLanes lanes({});
    const auto run = [&](const std::string& lane, const ResponsePtr& record) {
        lanes.add(lane, request());
        lanes.next();
        lanes.begun(lane, record);
        lanes.ended(lane);
    };
    const auto fail = [&](const std::string& lane, const std::string& parent) {
        lanes.add(lane, request());
        lanes.next();
        lanes.refused(lane, parent);
    };
    run("a", response("a1", false));
    run("b", response("b1", true));
    BOOST_TEST(lanes.find_unstored("a1") != nullptr);
    BOOST_TEST(lanes.find_unstored("b1") == nullptr);  // a lane does not keep a stored response
    fail("b", "a1");                                   // must not affect a1, which belongs to lane a
    BOOST_TEST(lanes.find_unstored("a1") != nullptr);
    fail("a", "other");
    BOOST_TEST(lanes.find_unstored("a1") != nullptr);
    fail("a", "a1");
    BOOST_TEST(lanes.find_unstored("a1") == nullptr);
    run("a", response("a2", false));
    run("a", response("a3", false));
    BOOST_TEST(lanes.find_unstored("a2") == nullptr);
    BOOST_TEST(lanes.find_unstored("a3") != nullptr);
}

BOOST_AUTO_TEST_CASE(lane_is_free_without_an_active_or_waiting_request) {
    WsLanes lanes({.max_in_flight = 1});
    BOOST_TEST(lanes.is_free(""));
    lanes.add("a", request());
    lanes.add("", request());
    lanes.next();
    BOOST_TEST(!lanes.is_free("a"));
    BOOST_TEST(!lanes.is_free(""));
    lanes.refused("a", std::nullopt);
    BOOST_TEST(lanes.is_free("a"));
}

BOOST_AUTO_TEST_CASE(newest_waiting_requests_are_refused_to_give_memory_back) {
    WsLanes lanes({.max_in_flight = 1});
    const auto holding = [](const char* id, std::size_t memory) {
        auto made = request(id);
        made.memory = memory;
        return made;
    };
    BOOST_TEST(lanes.add("", holding("1", 100)).has_value());
    BOOST_TEST(next(lanes) == ":1");
    BOOST_TEST(lanes.memory() == 0U);  // a running request does not count as waiting
    BOOST_TEST(lanes.add("", holding("2", 100)).has_value());
    BOOST_TEST(lanes.add("tab", holding("3", 50)).has_value());
    BOOST_TEST(lanes.add("", holding("4", 30)).has_value());
    BOOST_TEST(lanes.memory() == 180U);
    lanes.refuse_newest(60, {errc::server_overloaded, "full"});
    BOOST_TEST(lanes.memory() == 100U);
    BOOST_TEST(lanes.num_waiting() == 3U);
    lanes.refused("", std::nullopt);
    BOOST_TEST(next(lanes) == ":2");
    const auto other = lanes.next();  // a refusal can be sent although a request is in flight
    BOOST_TEST(other->queued.event_id == "3");
    BOOST_TEST((code_of(*other) == errc::server_overloaded));
    lanes.refused("", std::nullopt);
    const auto last = lanes.next();
    BOOST_TEST(last->queued.event_id == "4");
    BOOST_TEST((code_of(*last) == errc::server_overloaded));
    lanes.refuse_newest(1, {errc::server_overloaded, "full"});  // has no effect, because no request waits
    BOOST_TEST(lanes.memory() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
