#include "server/auth/quota.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(quota)

BOOST_AUTO_TEST_CASE(key_at_its_concurrency_limit_is_refused_until_a_request_ends) {
    Quota quota(2, 0);
    const Quota::Clock::time_point now{};
    auto first = quota.take_place(now);
    {
        const auto second = quota.take_place(now);
        BOOST_TEST(second.has_value());
        BOOST_TEST((quota.take_place(now).error().code == errc::rate_limit_exceeded));
    }
    const auto third = quota.take_place(now);
    BOOST_TEST(third.has_value());
    const Quota::Place moved = *std::move(first);
    BOOST_TEST(!quota.take_place(now).has_value());
}

BOOST_AUTO_TEST_CASE(key_at_its_tokens_per_minute_limit_is_told_how_long_to_wait) {
    Quota quota(0, 600);  // ten tokens per second
    Quota::Clock::time_point now{1h};
    quota.take_place(now)->charge(600);
    const auto refusal = quota.take_place(now);
    BOOST_REQUIRE(!refusal);
    BOOST_TEST((refusal.error().code == errc::rate_limit_exceeded));
    BOOST_TEST((refusal.error().retry_after == 100ms));
    BOOST_TEST(refusal.error().message ==
               "This API key has reached its tokens-per-minute limit. Retry after 1 s.");
    BOOST_TEST(!quota.take_place(now).has_value());
    now += refusal.error().retry_after;
    quota.take_place(now)->charge(301);
    const auto in_debt = quota.take_place(now).error().retry_after;
    BOOST_TEST((in_debt == 30'100ms || in_debt == 30'101ms));
    // Unused tokens of earlier minutes are lost.
    now += 1h;
    quota.take_place(now)->charge(601);
    BOOST_TEST(!quota.take_place(now).has_value());
}

BOOST_AUTO_TEST_CASE(key_without_limits_is_never_refused) {
    Quota quota(0, 0);
    std::vector<Quota::Place> places;
    for (int i = 0; i < 1000; ++i) {
        places.push_back(quota.take_place({}).value());
        places.back().charge(1'000'000);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
