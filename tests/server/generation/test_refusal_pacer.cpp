#include "server/generation/refusal_pacer.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(refusal_pacer)

BOOST_AUTO_TEST_CASE(burst_is_sent_at_once_and_the_rest_at_a_steady_rate) {
    RefusalPacer pacer;
    const RefusalPacer::Clock::time_point now{1h};
    for (int i = 0; i < RefusalPacer::burst; ++i) BOOST_TEST((pacer.next_delay(1, now) == 0ms));
    for (int i = 1; i <= 200; ++i) BOOST_TEST((pacer.next_delay(1, now) == i * 10ms));
    BOOST_TEST((pacer.next_delay(2, now) == 0ms));  // another owner
    for (int i = 0; i < 5000; ++i) pacer.next_delay(1, now);
    BOOST_TEST((pacer.next_delay(1, now) == 5s));
}

BOOST_AUTO_TEST_CASE(burst_grows_again_while_no_refusal_is_sent) {
    RefusalPacer pacer;
    RefusalPacer::Clock::time_point now{1h};
    for (int i = 0; i < 100; ++i) pacer.next_delay(1, now);
    now += 1s;
    for (int i = 0; i < RefusalPacer::burst; ++i) BOOST_TEST((pacer.next_delay(1, now) == 0ms));
    BOOST_TEST((pacer.next_delay(1, now) == 10ms));
}

BOOST_AUTO_TEST_CASE(owners_which_get_no_refusals_are_forgotten) {
    RefusalPacer pacer;
    RefusalPacer::Clock::time_point now{1h};
    for (std::uint64_t owner = 0; owner < 100'000; ++owner) pacer.next_delay(owner, now += 1ms);
    BOOST_TEST(pacer.num_owners() < 2000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
