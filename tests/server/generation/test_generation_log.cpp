#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include "server/generation/generation_log.hpp"
#include "tests/support/count_allocations.hpp"

namespace solard::server {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours long_time{1};

struct Fixture {
    asio::io_context io;
    GenerationLog log{1};
    Wakeup wakeup{io.get_executor()};
    LogReader reader{log, wakeup};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(generation_log)

BOOST_FIXTURE_TEST_CASE(unread_entries_merge_into_one_delta, Fixture) {
    log.append({.output = 0, .text = "a", .num_tokens = 1, .finish = FinishReason::none});
    log.append({.output = 0, .text = "", .num_tokens = 1, .finish = FinishReason::none});
    log.append({.output = 0, .text = "bc", .num_tokens = 1, .finish = FinishReason::none});
    BOOST_REQUIRE(reader.ready());
    const auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 1);
    BOOST_TEST(deltas[0].text == "abc");
    BOOST_TEST(deltas[0].num_tokens == 3);
    BOOST_TEST((deltas[0].finish == FinishReason::none));
    BOOST_TEST(!reader.ready());
    log.append({.output = 0, .text = "d", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST(reader.read()[0].text == "d");
    BOOST_TEST(log.terminal());
}

BOOST_FIXTURE_TEST_CASE(a_late_reader_reads_the_log_from_the_beginning, Fixture) {
    log.append({.output = 0, .text = "a", .num_tokens = 1, .finish = FinishReason::none});
    reader.read();
    log.append({.output = 0, .text = "b", .num_tokens = 1, .finish = FinishReason::length});
    Wakeup late_wakeup(io.get_executor());
    LogReader late(log, late_wakeup);
    BOOST_TEST(late.read()[0].text == "ab");
    const auto all = log.read_all();
    BOOST_REQUIRE(all.size() == 1);
    BOOST_TEST(all[0].text == "ab");
    BOOST_TEST(all[0].num_tokens == 2);
    BOOST_TEST((all[0].finish == FinishReason::length));
}

BOOST_AUTO_TEST_CASE(each_output_has_a_delta_of_its_own_and_the_last_finish_ends_the_log) {
    asio::io_context io;
    GenerationLog log(3);
    Wakeup wakeup(io.get_executor());
    LogReader reader(log, wakeup);
    log.append({.output = 2, .text = "x", .num_tokens = 1, .finish = FinishReason::stop});
    log.append({.output = 0, .text = "a", .num_tokens = 1, .finish = FinishReason::none});
    log.append({.output = 0, .text = "b", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST(!log.terminal());
    const auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 2);
    BOOST_TEST(deltas[0].output == 0);
    BOOST_TEST(deltas[0].text == "ab");
    BOOST_TEST(deltas[1].output == 2);
    log.append({.output = 1, .text = "", .num_tokens = 1, .finish = FinishReason::length});
    BOOST_TEST(log.terminal());
}

BOOST_AUTO_TEST_CASE(logprobs_and_stops_are_merged_per_output_and_read_once) {
    asio::io_context io;
    GenerationLog log(4);
    Wakeup wakeup(io.get_executor());
    LogReader reader(log, wakeup);
    const auto add = [&](std::uint32_t output, TokenId token, FinishReason finish = FinishReason::none,
                         StopMatch stop = {}) {
        const std::vector<TokenLogprob> logprobs{{token, -1}, {token, -1}, {token + 1, -2}};
        log.append({.output = output,
                    .text = "x",
                    .num_tokens = 1,
                    .finish = finish,
                    .stop = stop,
                    .logprobs = logprobs});
    };
    const auto tokens_of = [](const LogDelta& delta) {
        std::vector<TokenId> tokens;
        for (const auto& entry : delta.logprobs) tokens.push_back(entry.token);
        return tokens;
    };
    add(1, 10);
    add(3, 30);
    add(1, 11);
    auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 2);
    BOOST_TEST((tokens_of(deltas[0]) == std::vector<TokenId>{10, 10, 11, 11, 11, 12}));
    BOOST_TEST((tokens_of(deltas[1]) == std::vector<TokenId>{30, 30, 31}));

    for (TokenId i = 0; i < 4; ++i) {
        for (std::uint32_t output = 0; output < 4; ++output)
            add(output, 100 + i, i == 3 ? FinishReason::stop : FinishReason::none,
                i < 3 ? StopMatch{} : StopMatch{.index = static_cast<std::int32_t>(output), .token = 7});
    }
    deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 4);
    for (std::uint32_t output = 0; output < 4; ++output) {
        BOOST_TEST(deltas[output].output == output);
        BOOST_TEST(deltas[output].text == "xxxx");
        BOOST_TEST(deltas[output].num_tokens == 4);
        BOOST_TEST((tokens_of(deltas[output]) ==
                    std::vector<TokenId>{100, 100, 101, 101, 101, 102, 102, 102, 103, 103, 103, 104}));
        BOOST_TEST(deltas[output].stop.index == static_cast<std::int32_t>(output));
        BOOST_TEST(deltas[output].stop.token == 7);
    }
    BOOST_TEST(!reader.ready());
    BOOST_TEST(log.num_tokens() == 19);
    const auto all = log.read_all();
    BOOST_REQUIRE(all.size() == 4);
    BOOST_TEST(all[1].output == 1);
    BOOST_TEST(all[1].text == "xxxxxx");
    BOOST_TEST(all[1].logprobs.size() == 18);
    BOOST_TEST(all[2].stop.index == 2);
}

BOOST_AUTO_TEST_CASE(each_output_of_a_prompt_has_its_log_probabilities_once_and_in_order) {
    asio::io_context io;
    GenerationLog log(4, false, 2);  // two prompts with two choices each
    Wakeup wakeup(io.get_executor());
    LogReader reader(log, wakeup);
    const auto ranked = [](TokenId first, std::size_t count) {
        std::vector<RankedLogprob> entries;
        while (entries.size() < count)
            entries.push_back({first + static_cast<TokenId>(entries.size()), -1, 1});
        return entries;
    };
    const auto ids_of = [](const LogDelta& delta) {
        std::vector<TokenId> ids;
        for (const auto& entry : delta.prompt_logprobs) ids.push_back(entry.token);
        return ids;
    };
    log.append_prompt_logprobs(1, ranked(100, 2), 2);
    auto deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 2);
    for (const std::size_t i : {0, 1}) {
        BOOST_TEST(deltas[i].output == 2 + i);
        BOOST_TEST((ids_of(deltas[i]) == std::vector<TokenId>{100, 101}));
        BOOST_TEST(deltas[i].num_tokens == 0);
    }
    log.append_prompt_logprobs(1, ranked(102, 4), 2);
    log.append({.output = 3, .text = "x", .num_tokens = 1, .finish = FinishReason::stop});
    log.append({.output = 0, .text = "y", .num_tokens = 1, .finish = FinishReason::stop});
    deltas = reader.read();
    BOOST_REQUIRE(deltas.size() == 3);
    BOOST_TEST(ids_of(deltas[0]).empty());
    BOOST_TEST((ids_of(deltas[1]) == std::vector<TokenId>{102, 103, 104, 105}));
    BOOST_TEST(deltas[2].text == "x");
    BOOST_TEST((ids_of(deltas[2]) == std::vector<TokenId>{102, 103, 104, 105}));
    BOOST_TEST((ids_of(log.read_whole(2)) == std::vector<TokenId>{100, 101, 102, 103, 104, 105}));
    BOOST_TEST(log.read_whole(1).prompt_logprobs.empty());
}

BOOST_FIXTURE_TEST_CASE(long_prompt_is_read_in_parts_of_whole_tokens, Fixture) {
    constexpr std::size_t stride = 21;
    const std::vector<RankedLogprob> entries(stride * 500, {5, -1, 1});
    log.append_prompt_logprobs(0, entries, stride);
    std::size_t num_read = 0;
    while (reader.ready()) {
        const auto& deltas = reader.read(16 << 10);
        BOOST_REQUIRE(deltas.size() == 1);
        const std::size_t size = deltas[0].prompt_logprobs.size();
        BOOST_TEST(size % stride == 0U);
        BOOST_TEST(size * sizeof(RankedLogprob) <= 16U << 10);
        num_read += size;
    }
    BOOST_TEST(num_read == entries.size());
}

BOOST_AUTO_TEST_CASE(log_probabilities_of_a_prompt_are_charged_once_and_dropped) {
    WaitingMemory memory(100'000);
    GenerationLog log(8);
    log.charge_to(memory, 1);
    const std::size_t before = log.bytes();
    const std::vector<RankedLogprob> entries(1000);
    log.append_prompt_logprobs(0, entries, 1);
    BOOST_TEST(log.bytes() >= before + 1000 * sizeof(RankedLogprob));
    BOOST_TEST(log.bytes() < before + 2000 * sizeof(RankedLogprob));
    BOOST_TEST(memory.bytes() == log.bytes());
    for (int i = 0; i < 10; ++i) log.append_prompt_logprobs(0, entries, 1);
    BOOST_REQUIRE(log.failure().has_value());
    BOOST_TEST((log.failure()->code == errc::server_overloaded));
    BOOST_TEST(log.read_whole(7).prompt_logprobs.empty());
    BOOST_TEST(memory.bytes() < 10'000U);
}

BOOST_AUTO_TEST_CASE(a_read_can_be_limited_to_some_outputs) {
    asio::io_context io;
    GenerationLog log(4);
    Wakeup wakeup(io.get_executor());
    LogReader reader(log, wakeup);
    for (const std::uint32_t output : {2U, 0U, 2U, 1U, 3U, 0U})
        log.append({.output = output, .text = "x", .num_tokens = 1});
    const auto read = [&] {
        std::string text;
        for (const auto& delta : reader.read(SIZE_MAX, 2))
            text += std::to_string(delta.output) + std::string(delta.text) + " ";
        return text;
    };
    BOOST_TEST(read() == "0x 2xx ");
    BOOST_TEST(read() == "1x 3x ");
    BOOST_TEST(read() == "0x ");
    BOOST_TEST(reader.num_unread() == 0);
}

BOOST_FIXTURE_TEST_CASE(a_limited_read_returns_whole_entries_and_the_next_read_continues, Fixture) {
    for (const auto* text : {"abc", "de", "", "fghijkl", "m"}) log.append({.text = text, .num_tokens = 1});
    const auto read = [&] { return std::string(reader.read(5)[0].text); };
    BOOST_TEST(read() == "abcde");
    BOOST_TEST(reader.position() == 3);  // includes the entry without text
    BOOST_TEST(read() == "fghijkl");     // an entry that is longer than the limit is not cut
    BOOST_TEST(reader.num_unread() == 1);
    BOOST_TEST(read() == "m");
    BOOST_TEST(reader.read(5).empty());

    Wakeup late_wakeup(io.get_executor());
    LogReader late(log, late_wakeup, 2);
    BOOST_TEST(late.read()[0].text == "fghijklm");
    BOOST_TEST(late.position() == 5);
}

BOOST_FIXTURE_TEST_CASE(a_terminal_log_does_not_change, Fixture) {
    log.append({.output = 0, .text = "a", .num_tokens = 1, .finish = FinishReason::stop});
    log.append({.output = 0, .text = "late", .num_tokens = 1, .finish = FinishReason::length});
    log.fail({errc::server_error, "late"});
    BOOST_TEST(log.read_all()[0].text == "a");
    BOOST_TEST(!log.failure().has_value());

    GenerationLog failed(1);
    failed.fail({errc::queue_timeout, "first"});
    failed.fail({errc::server_error, "second"});
    failed.append({.output = 0, .text = "late", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST((failed.failure()->code == errc::queue_timeout));
    BOOST_TEST(failed.read_all()[0].text.empty());
}

BOOST_FIXTURE_TEST_CASE(an_entry_or_a_failure_wakes_a_waiting_reader, Fixture) {
    auto first = asio::co_spawn(io, reader.wait(long_time), asio::use_future);
    io.poll();
    log.append({.output = 0, .text = "a", .num_tokens = 1, .finish = FinishReason::none});
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

BOOST_FIXTURE_TEST_CASE(a_wait_without_news_ends_at_its_limit, Fixture) {
    auto wait = asio::co_spawn(io, reader.wait(std::chrono::milliseconds(1)), asio::use_future);
    io.run();
    BOOST_TEST(!wait.get());
}

BOOST_FIXTURE_TEST_CASE(dropped_log_frees_its_output_and_its_reader_sees_the_failure, Fixture) {
    for (int i = 0; i < 1'000; ++i) log.append({.text = "0123456789", .num_tokens = 1});
    reader.read();
    log.append({.text = "unread", .num_tokens = 1});
    const std::size_t before = log.bytes();
    log.drop();
    BOOST_TEST(log.bytes() + 10'000 < before);
    BOOST_TEST(log.terminal());
    BOOST_TEST((log.failure()->code == errc::server_overloaded));
    BOOST_TEST(reader.ready());
    BOOST_TEST(reader.num_unread() == 0U);
    BOOST_TEST(reader.read().empty());
    BOOST_TEST(!reader.ready());
    BOOST_TEST(log.num_entries() == 1'001U);  // drop() does not reduce the number of entries
    BOOST_TEST(log.num_tokens() == 1'001U);
    log.append({.text = "late", .num_tokens = 1});
    BOOST_TEST(log.read_whole(0).text.empty());
    LogReader late(log, wakeup, 500);
    BOOST_TEST(late.position() == 500U);
    BOOST_TEST(late.ready());
}

BOOST_AUTO_TEST_CASE(log_is_charged_as_it_grows_and_dropped_if_there_is_no_room) {
    WaitingMemory memory(100'000);
    {
        GenerationLog log(1);
        log.charge_to(memory, 1);
        log.append({.text = "text", .num_tokens = 1});
        BOOST_TEST(memory.bytes() == log.bytes());
        log.charge_also(5'000);
        BOOST_TEST(memory.bytes() == log.bytes() + 5'000);
        while (!log.terminal()) {
            log.append({.text = "0123456789", .num_tokens = 1});
            BOOST_REQUIRE(memory.bytes() <= 100'000U);
        }
        BOOST_TEST(memory.bytes() < 10'000U);
        BOOST_TEST((log.failure()->code == errc::server_overloaded));
    }
    BOOST_TEST(memory.bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(grammar_is_charged_until_the_answer_ends) {
    WaitingMemory memory(100'000);
    GenerationLog log(2);
    log.charge_to(memory, 1);
    log.charge_grammar(50'000);
    log.charge_also(5'000);
    log.append({.text = "text", .num_tokens = 1});
    BOOST_TEST(memory.bytes() == log.bytes() + 55'000);
    log.append({.output = 0, .finish = FinishReason::stop});
    BOOST_TEST(memory.bytes() == log.bytes() + 55'000);
    log.append({.output = 1, .finish = FinishReason::stop});
    BOOST_TEST(memory.bytes() == log.bytes() + 5'000);

    GenerationLog other(1);
    other.charge_to(memory, 2);
    other.charge_grammar(100'001);
    BOOST_TEST((other.failure()->code == errc::server_overloaded));
    BOOST_TEST(memory.bytes() < log.bytes() + 10'000);
}

BOOST_AUTO_TEST_CASE(log_is_dropped_if_another_owner_needs_its_bytes_even_after_its_end) {
    WaitingMemory memory(100'000);
    GenerationLog log(1);
    log.charge_to(memory, 1);
    log.append({.text = std::string(60'000, 'x'), .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST(!log.failure().has_value());
    WaitingAccount other(memory, 2, WaitingKind::input, [](std::size_t) {});
    BOOST_TEST(other.resize(50'000));
    BOOST_TEST(log.failure().has_value());
    BOOST_TEST(log.read_whole(0).text.empty());
}

BOOST_AUTO_TEST_CASE(charging_a_token_allocates_nothing) {
    WaitingMemory memory(1 << 20);
    GenerationLog log(1);
    log.charge_to(memory, 1);
    // With 513 entries, the log has memory for 1,024 entries. So the next 100 entries need no allocation.
    for (int i = 0; i < 513; ++i) log.append({.text = "t", .num_tokens = 1});
    const auto before = num_allocations();
    for (int i = 0; i < 100; ++i) log.append({.text = "t", .num_tokens = 1});
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
