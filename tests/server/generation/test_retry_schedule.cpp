#include "server/generation/retry_schedule.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

namespace solard::server {
using namespace std::chrono_literals;

namespace {

Caller connection(std::uint64_t number) {
    return {.principal = number, .owner = 1, .connection = number};
}

// A client that says how often it has retried.
Caller counting(std::uint32_t num_retries) {
    return {.principal = 7, .owner = 1, .connection = 7, .num_retries = num_retries};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(retry_schedule)

BOOST_AUTO_TEST_CASE(refused_callers_queue_for_one_place_after_the_other) {
    RetrySchedule schedule(1);
    const RetrySchedule::Time now{1h};
    for (int i = 1; i <= 20; ++i) {
        const auto wait = schedule.refuse(connection(static_cast<std::uint64_t>(i)), 1, 500ms, now);
        BOOST_TEST((wait >= i * 500ms && wait <= i * 600ms + 1ms));
    }
    // A request with four choices waits for four places, so it waits for places 21 to 24. The next request
    // waits for place 25.
    BOOST_TEST((schedule.refuse(connection(21), 4, 500ms, now) >= 12s));
    BOOST_TEST((schedule.refuse(connection(22), 1, 500ms, now) >= 12500ms));
}

BOOST_AUTO_TEST_CASE(caller_that_retries_too_early_keeps_its_reservation) {
    RetrySchedule schedule(1);
    RetrySchedule::Time now{1h};
    const auto first = schedule.refuse(connection(1), 1, 1s, now);
    for (int i = 0; i < 100; ++i) BOOST_TEST((schedule.refuse(connection(1), 1, 1s, now += 5ms) <= first));
    BOOST_TEST(schedule.size() == 1U);
    BOOST_TEST((schedule.refuse(connection(2), 1, 1s, now) <= 2401ms));
    BOOST_TEST(!schedule.is_due(connection(1), now));
    now = RetrySchedule::Time{1h} + first;
    BOOST_TEST(schedule.is_due(connection(1), now));
    // Connection 1 retries at its reserved time, but is refused again. Its new reservation is later than the
    // reservation of connection 2.
    BOOST_TEST((schedule.refuse(connection(1), 1, 1s, now) >= 2s));
}

BOOST_AUTO_TEST_CASE(place_of_a_closed_or_admitted_connection_is_free_for_the_next_one) {
    RetrySchedule schedule(1);
    const RetrySchedule::Time now{1h};
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        BOOST_TEST((schedule.refuse(connection(i), 1, 1s, now) <= 1201ms));
        i % 2 == 0 ? schedule.close(i) : schedule.claim(connection(i));
    }
    BOOST_TEST(schedule.size() == 0U);
}

BOOST_AUTO_TEST_CASE(every_first_attempt_of_a_counting_client_has_its_own_reservation) {
    RetrySchedule schedule(1);
    RetrySchedule::Time now{1h};
    for (int i = 1; i <= 5; ++i) BOOST_TEST((schedule.refuse(counting(0), 1, 1s, now) >= i * 1s));
    BOOST_TEST(schedule.size() == 5U);
    BOOST_TEST(!schedule.is_due(counting(1), now));
    now += 1300ms;
    BOOST_TEST(schedule.is_due(counting(1), now));
    BOOST_TEST(!schedule.is_due(counting(0), now));
    schedule.claim(counting(1));
    BOOST_TEST(!schedule.is_due(counting(1), now));
    BOOST_TEST(schedule.size() == 4U);
}

BOOST_AUTO_TEST_CASE(number_of_reservations_of_an_owner_is_limited) {
    RetrySchedule schedule(1);
    schedule.set_max_per_owner(10);
    const RetrySchedule::Time now{1h};
    for (int i = 0; i < 1000; ++i) schedule.refuse(counting(0), 1, 100ms, now);
    BOOST_TEST(schedule.size() == 10U);
    BOOST_TEST((schedule.refuse(connection(9), 1, 100ms, now) <= 1400ms));
}

BOOST_AUTO_TEST_CASE(waits_stay_between_100_ms_and_30_s_and_are_spread) {
    RetrySchedule schedule(1);
    const RetrySchedule::Time now{1h};
    BOOST_TEST((schedule.refuse(connection(1), 1, 1ms, now) == 100ms));
    std::set<std::chrono::milliseconds> waits;
    for (std::uint64_t i = 2; i < 102; ++i) waits.insert(schedule.refuse(connection(i), 1, 60s, now));
    BOOST_TEST((*waits.begin() >= 15s));
    BOOST_TEST((*waits.rbegin() <= 30s));
    BOOST_TEST((*waits.rbegin() - *waits.begin() >= 10s));
}

BOOST_AUTO_TEST_CASE(reservation_is_forgotten_soon_after_its_time) {
    RetrySchedule schedule(1);
    const RetrySchedule::Time now{1h};
    for (std::uint64_t i = 1; i <= 10; ++i) schedule.refuse(connection(i), 1, 1s, now);
    schedule.refuse(connection(11), 1, 1s, now + 20s);
    BOOST_TEST(schedule.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
