#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include "server/response_log.hpp"

using namespace solard;
namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours long_time{1};

struct Fixture {
    asio::io_context io;
    ResponseLog log{1};
    LogReader reader{log, io.get_executor()};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(response_log)

BOOST_FIXTURE_TEST_CASE(unread_entries_merge_into_one_delta, Fixture) {
    log.append(0, "a", 1, FinishReason::none);
    log.append(0, "", 1, FinishReason::none);
    log.append(0, "bc", 1, FinishReason::none);
    BOOST_REQUIRE(reader.ready());
    const auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 1);
    BOOST_TEST(deltas[0].text == "abc");
    BOOST_TEST(deltas[0].num_tokens == 3);
    BOOST_TEST((deltas[0].finish == FinishReason::none));
    BOOST_TEST(!reader.ready());
    log.append(0, "d", 1, FinishReason::stop);
    BOOST_TEST(reader.read()[0].text == "d");
    BOOST_TEST(log.terminal());
}

BOOST_FIXTURE_TEST_CASE(a_late_reader_sees_everything_from_the_beginning, Fixture) {
    log.append(0, "a", 1, FinishReason::none);
    reader.read();
    log.append(0, "b", 1, FinishReason::length);
    LogReader late(log, io.get_executor());
    BOOST_TEST(late.read()[0].text == "ab");
    BOOST_TEST(log.text(0) == "ab");
    BOOST_TEST(log.num_tokens(0) == 2);
    BOOST_TEST((log.finish(0) == FinishReason::length));
}

BOOST_AUTO_TEST_CASE(outputs_merge_apart_and_the_last_finish_ends_the_log) {
    asio::io_context io;
    ResponseLog log(3);
    LogReader reader(log, io.get_executor());
    log.append(2, "x", 1, FinishReason::stop);
    log.append(0, "a", 1, FinishReason::none);
    log.append(0, "b", 1, FinishReason::stop);
    BOOST_TEST(!log.terminal());
    const auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 2);
    BOOST_TEST(deltas[0].output == 0);
    BOOST_TEST(deltas[0].text == "ab");
    BOOST_TEST(deltas[1].output == 2);
    log.append(1, "", 1, FinishReason::length);
    BOOST_TEST(log.terminal());
}

BOOST_FIXTURE_TEST_CASE(there_is_exactly_one_terminal, Fixture) {
    log.append(0, "a", 1, FinishReason::stop);
    log.append(0, "late", 1, FinishReason::length);
    log.fail({errc::server_error, "late"});
    BOOST_TEST(log.text(0) == "a");
    BOOST_TEST(!log.failure().has_value());

    ResponseLog failed(1);
    failed.fail({errc::queue_timeout, "first"});
    failed.fail({errc::server_error, "second"});
    failed.append(0, "late", 1, FinishReason::stop);
    BOOST_TEST((failed.failure()->code == errc::queue_timeout));
    BOOST_TEST(failed.text(0).empty());
}

BOOST_FIXTURE_TEST_CASE(a_waiting_reader_wakes_for_news_and_for_failure, Fixture) {
    auto first = asio::co_spawn(io, reader.wait(long_time), asio::use_future);
    io.poll();
    log.append(0, "a", 1, FinishReason::none);
    io.restart();
    io.run();
    BOOST_TEST(first.get());
    reader.read();

    auto second = asio::co_spawn(io, reader.wait(long_time), asio::use_future);
    io.restart();
    io.poll();
    log.fail({errc::server_error, "x"});
    io.restart();
    io.run();
    BOOST_TEST(second.get());
    BOOST_TEST(reader.read().empty());
    BOOST_TEST(!reader.ready());
}

BOOST_FIXTURE_TEST_CASE(silence_ends_a_wait_without_news, Fixture) {
    auto wait = asio::co_spawn(io, reader.wait(std::chrono::milliseconds(1)), asio::use_future);
    io.run();
    BOOST_TEST(!wait.get());
}

BOOST_AUTO_TEST_SUITE_END()
