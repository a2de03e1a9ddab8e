#include <boost/test/unit_test.hpp>

#include "server/observe/repeated_trouble.hpp"

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(repeated_trouble)

BOOST_AUTO_TEST_CASE(one_line_per_second_tells_how_many_were_left_out) {
    const RepeatedTrouble::Clock::time_point start{1h};
    RepeatedTrouble trouble;
    BOOST_TEST(trouble.note(start).value() == 0);
    BOOST_TEST(!trouble.note(start));
    BOOST_TEST(!trouble.note(start + 999ms));
    BOOST_TEST(trouble.note(start + 1s).value() == 2);
    BOOST_TEST(!trouble.note(start + 1999ms));
    BOOST_TEST(trouble.note(start + 1min).value() == 1);
    BOOST_TEST(trouble.note(start + 1h).value() == 0);
}

BOOST_AUTO_TEST_CASE(ten_failures_per_second_leave_one_line_per_second) {
    const RepeatedTrouble::Clock::time_point start{1h};
    RepeatedTrouble trouble;
    int num_lines = 0;
    for (int i = 0; i < 100; ++i)
        if (trouble.note(start + i * 100ms)) ++num_lines;
    BOOST_TEST(num_lines == 10);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
