#include "server/generation/drain_rate.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(drain_rate)

BOOST_AUTO_TEST_CASE(retry_time_follows_from_how_fast_answers_end) {
    DrainRate rate;
    DrainRate::Clock::time_point now{1h};
    BOOST_TEST((rate.time_for(1, now) == 1000ms));
    for (int i = 0; i < 100; ++i) rate.add_end(now += 500ms);
    BOOST_TEST((rate.time_for(1, now) >= 450ms && rate.time_for(1, now) <= 500ms));
    BOOST_TEST((rate.time_for(4, now) >= 1900ms && rate.time_for(4, now) <= 2000ms));
    // If no answer ends any more, the estimate grows up to its maximum.
    BOOST_TEST((rate.time_for(1, now + 160s) >= 5s));
    BOOST_TEST((rate.time_for(1, now + 24h) == 30s));
    for (int i = 0; i < 100; ++i) rate.add_end(now += 1ms);
    BOOST_TEST((rate.time_for(1, now) == 100ms));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
