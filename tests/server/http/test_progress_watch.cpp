#include "server/http/progress_watch.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
namespace {

constexpr auto steps_per_window = ProgressWatch::steps_per_window;

BOOST_AUTO_TEST_SUITE(progress_watch)

BOOST_AUTO_TEST_CASE(client_that_accepts_nothing_is_stalled_after_one_window) {
    ProgressWatch watch;
    for (std::size_t step = 0; step < steps_per_window; ++step) BOOST_TEST(!watch.note(5, false));
    BOOST_TEST(watch.note(5, false));
}

// The kernel accepts many bytes at the beginning. These bytes must count in the first window only.
BOOST_AUTO_TEST_CASE(bytes_accepted_at_the_beginning_do_not_delay_the_end) {
    ProgressWatch watch;
    watch.note(0, false);
    for (std::size_t step = 0; step < steps_per_window; ++step) BOOST_TEST(!watch.note(2'000'000, false));
    BOOST_TEST(watch.note(2'000'000, false));
}

BOOST_AUTO_TEST_CASE(any_window_with_too_few_bytes_ends_the_stream) {
    ProgressWatch watch;
    std::uint64_t accepted = 0;
    for (int step = 0; step < 100; ++step) BOOST_TEST(!watch.note(accepted += 375, false));
    // In the window that ends with this step, the client has accepted one byte less than the minimum.
    BOOST_TEST(watch.note(accepted += 374, false));
}

BOOST_AUTO_TEST_CASE(slow_client_that_takes_enough_bytes_is_served) {
    ProgressWatch watch;
    std::uint64_t accepted = 0;
    for (std::size_t window = 0; window < 10; ++window) {
        for (std::size_t step = 1; step < steps_per_window; ++step) BOOST_TEST(!watch.note(accepted, false));
        BOOST_TEST(!watch.note(accepted += 3000, false));
    }
}

BOOST_AUTO_TEST_CASE(window_begins_again_when_everything_was_accepted) {
    ProgressWatch watch;
    for (int round = 0; round < 3; ++round) {
        for (std::size_t step = 0; step < steps_per_window; ++step) BOOST_TEST(!watch.note(1, false));
        BOOST_TEST(!watch.note(2, true));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
