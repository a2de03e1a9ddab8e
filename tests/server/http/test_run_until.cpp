#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <stdexcept>

#include "server/http/run_until.hpp"

namespace solard::server {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds give_up{20};

asio::awaitable<void> never(bool* cancelled) {
    asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    try {
        co_await timer.async_wait(asio::use_awaitable);
    } catch (const boost::system::system_error&) {
        *cancelled = true;
        throw;
    }
}

asio::awaitable<void> at_once() {
    co_return;
}

asio::awaitable<void> failing() {
    throw std::logic_error("broken");
    co_return;
}

struct Outcome {
    bool ended = false;
    std::exception_ptr problem;
};

Outcome run(asio::awaitable<void> work, asio::awaitable<void> stop, asio::io_context& io) {
    Outcome outcome;
    asio::co_spawn(io, run_until(std::move(work), std::move(stop)),
                   [&](std::exception_ptr problem) { outcome = {true, std::move(problem)}; });
    io.run_for(give_up);
    return outcome;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(run_until_tests)

BOOST_AUTO_TEST_CASE(exception_of_the_work_is_thrown_without_waiting_for_stop) {
    asio::io_context io;
    bool cancelled = false;
    const auto outcome = run(failing(), never(&cancelled), io);
    BOOST_REQUIRE(outcome.ended);
    BOOST_REQUIRE(outcome.problem);
    BOOST_CHECK_THROW(std::rethrow_exception(outcome.problem), std::logic_error);
    BOOST_TEST(cancelled);
}

BOOST_AUTO_TEST_CASE(stop_cancels_the_work) {
    asio::io_context io;
    bool cancelled = false;
    const auto outcome = run(never(&cancelled), at_once(), io);
    BOOST_TEST(outcome.ended);
    BOOST_TEST(!outcome.problem);
    BOOST_TEST(cancelled);
}

BOOST_AUTO_TEST_CASE(end_of_the_work_cancels_stop) {
    asio::io_context io;
    bool cancelled = false;
    const auto outcome = run(at_once(), never(&cancelled), io);
    BOOST_TEST(outcome.ended);
    BOOST_TEST(!outcome.problem);
    BOOST_TEST(cancelled);
}

BOOST_AUTO_TEST_CASE(exception_of_stop_cancels_the_work_and_is_thrown) {
    asio::io_context io;
    bool cancelled = false;
    const auto outcome = run(never(&cancelled), failing(), io);
    BOOST_REQUIRE(outcome.problem);
    BOOST_CHECK_THROW(std::rethrow_exception(outcome.problem), std::logic_error);
    BOOST_TEST(cancelled);
}

BOOST_AUTO_TEST_CASE(destruction_of_the_event_loop_destroys_the_waiting_coroutine) {
    const auto owned = std::make_shared<int>();
    bool cancelled = false;
    {
        asio::io_context io;
        const auto wait = [](std::shared_ptr<int>, bool* seen) -> asio::awaitable<void> {
            auto waiting = run_until(never(seen), never(seen));
            co_await std::move(waiting);
        };
        asio::co_spawn(io, wait(owned, &cancelled), [](const std::exception_ptr&) {});
        io.poll();
        BOOST_TEST(owned.use_count() == 2);
    }
    BOOST_TEST(owned.use_count() == 1);
    BOOST_TEST(!cancelled);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
