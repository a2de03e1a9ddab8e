#include "server/generation/drain_rate.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(drain_rate)

BOOST_AUTO_TEST_CASE(interval_is_the_mean_time_between_two_ends) {
    DrainRate rate;
    DrainRate::Clock::time_point now{1h};
    BOOST_TEST((rate.interval(now) == 1s));
    rate.add_step(now, 0, true);
    for (int i = 0; i < 100; ++i) rate.add_step(now += 500ms, 1, true);
    BOOST_TEST((rate.interval(now) >= 480ms && rate.interval(now) <= 500ms));
    // If no further choice ends, the estimated interval grows.
    BOOST_TEST((rate.interval(now + 160s) >= 5s));
    for (int i = 0; i < 100; ++i) rate.add_step(now += 1ms, 1, true);
    BOOST_TEST((rate.interval(now) <= 1ms));
}

BOOST_AUTO_TEST_CASE(time_without_waiting_choices_does_not_count) {
    DrainRate rate;
    DrainRate::Clock::time_point now{1h};
    rate.add_step(now, 0, true);
    for (int i = 0; i < 9; ++i) rate.add_step(now += 100ms, 1, true);
    rate.add_step(now += 100ms, 1, false);
    BOOST_TEST((rate.interval(now) == 100ms));
    rate.add_step(now += 1h, 5, false);
    BOOST_TEST((rate.interval(now + 1h) == 100ms));
}

BOOST_AUTO_TEST_CASE(choices_that_end_together_are_measured_over_several_rounds) {
    DrainRate rate;
    rate.set_window(4 * 16);
    DrainRate::Clock::time_point now{1h};
    rate.add_step(now, 0, true);
    for (int i = 0; i < 8; ++i) rate.add_step(now += 16s, 16, true);
    BOOST_TEST((rate.interval(now) >= 700ms && rate.interval(now) <= 1s));
    BOOST_TEST((rate.interval(now + 15s) >= 900ms && rate.interval(now + 15s) <= 1s));
}

BOOST_AUTO_TEST_CASE(first_end_is_expected_no_sooner_than_it_was_waited_for) {
    DrainRate rate;
    const DrainRate::Clock::time_point now{1h};
    rate.add_step(now, 0, true);
    BOOST_TEST((rate.interval(now + 7s) == 7s));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
