// Tests pings, silence, idleness and age of a socket. The test itself sets the time.
#include <boost/test/unit_test.hpp>

#include "server/ws/event_rate.hpp"
#include "server/ws/liveness.hpp"

namespace solard::server {
using namespace std::chrono_literals;
using Verdict = WsLiveness::Verdict;

namespace {

const WsLiveness::Time start{100h};
constexpr WsLivenessLimits limits{
    .ping_interval = 30s, .pong_timeout = 20s, .idle_timeout = 3600s, .max_age = 0s};

}  // namespace

BOOST_AUTO_TEST_SUITE(ws_liveness)

BOOST_AUTO_TEST_CASE(silent_client_is_pinged_after_30_s_and_after_15_s_while_busy) {
    const WsLiveness socket(limits, start);
    for (const auto& [busy, interval] : {std::pair{false, 30s}, {true, 15s}}) {
        BOOST_TEST((socket.verdict(start + interval - 1ms, busy) == Verdict::fine));
        BOOST_TEST((socket.verdict(start + interval, busy) == Verdict::ping));
        BOOST_TEST((socket.due(busy) == start + interval));
    }
}

BOOST_AUTO_TEST_CASE(any_frame_answers_a_ping_and_20_s_without_one_mean_lost) {
    WsLiveness socket(limits, start);
    socket.note_ping_sent(start + 30s);
    BOOST_TEST((socket.due(false) == start + 50s));
    BOOST_TEST((socket.verdict(start + 50s - 1ms, false) == Verdict::fine));
    BOOST_TEST((socket.verdict(start + 50s, false) == Verdict::lost));
    socket.note_input(start + 49s);
    BOOST_TEST((socket.verdict(start + 50s, false) == Verdict::fine));
    BOOST_TEST((socket.verdict(start + 79s, false) == Verdict::ping));
}

BOOST_AUTO_TEST_CASE(pongs_do_not_prevent_idleness_and_a_response_does) {
    WsLiveness socket(limits, start);
    socket.note_input(start + 3599s);
    BOOST_TEST((socket.verdict(start + 3600s, true) == Verdict::fine));
    BOOST_TEST((socket.verdict(start + 3600s - 1ms, false) == Verdict::fine));
    BOOST_TEST((socket.verdict(start + 3600s, false) == Verdict::idle));
    socket.note_activity(start + 3600s);
    BOOST_TEST((socket.verdict(start + 3600s, false) == Verdict::fine));
}

BOOST_AUTO_TEST_CASE(jitter_shortens_the_ping_interval) {
    WsLivenessLimits shorter = limits;
    shorter.jitter = 0.2;
    const WsLiveness socket(shorter, start);
    BOOST_TEST((socket.verdict(start + 24s - 1ms, false) == Verdict::fine));
    BOOST_TEST((socket.verdict(start + 24s, false) == Verdict::ping));
}

BOOST_AUTO_TEST_CASE(age_counts_only_if_it_is_limited) {
    WsLiveness socket(limits, start);
    BOOST_TEST(!socket.too_old(start + 1000h));
    WsLivenessLimits aging = limits;
    aging.max_age = 60min;
    WsLiveness old(aging, start);
    old.note_input(start + 59min);
    BOOST_TEST(!old.too_old(start + 60min - 1ms));
    BOOST_TEST(old.too_old(start + 60min));
    BOOST_TEST((old.retires_at() == start + 60min));
}

BOOST_AUTO_TEST_CASE(event_rate_counts_to_its_limit_within_one_window) {
    EventRate rate(20, 10s);
    for (int i = 1; i < 20; ++i) BOOST_TEST(!rate.note(start + i * 100ms));
    BOOST_TEST(rate.note(start + 10s));
    EventRate slow(20, 10s);
    for (int i = 0; i < 19; ++i) BOOST_TEST(!slow.note(start));
    BOOST_TEST(!slow.note(start + 10s + 1ms));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
