// Tests what a GenerationLog does if memory is missing.
#include <boost/test/unit_test.hpp>
#include <new>
#include <thread>

#include "server/generation/generation_log.hpp"
#include "tests/server/allocation_failure/failing_allocator.hpp"

namespace solard::server {

BOOST_AUTO_TEST_SUITE(allocation_failure)

BOOST_AUTO_TEST_CASE(log_is_unchanged_if_memory_for_the_error_of_drop_is_missing) {
    // A new thread, because the main thread may be exempt from failures.
    std::thread([] {
        GenerationLog log(1);
        log.append({.output = 0, .text = "some text", .num_tokens = 1});
        fail_allocation(1);
        bool has_thrown = false;
        try {
            log.drop();
        } catch (const std::bad_alloc&) {
            has_thrown = true;
        }
        BOOST_TEST(stop_failing());
        BOOST_TEST(has_thrown);
        BOOST_TEST(!log.terminal());
        BOOST_TEST(log.read_whole(0).text == "some text");
        log.drop();
        BOOST_TEST((log.failure()->code == errc::server_overloaded));
        BOOST_TEST(log.read_whole(0).text.empty());
    }).join();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
