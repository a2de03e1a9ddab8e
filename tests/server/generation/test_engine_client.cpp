// Tests of admission: which requests are refused before a status line is sent.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

#include "server/generation/engine_client.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard::server {
namespace {

// An engine whose first step is blocked, so that every admitted request stays in flight.
struct Fixture {
    explicit Fixture(QueueLimits limits) {
        EngineOptions options;
        options.max_num_seqs = 8;
        options.max_num_batched_tokens = 64;
        control->close_gate();
        client.start([this] { return std::make_unique<FakeBackend>(FakeOptions{}, control); },
                     demo_tokenizer(), options, limits, [](const EngineInfo&) {}, [](const Error&) {});
        while (state.phase == ServerPhase::starting) io.run_one();
    }
    ~Fixture() {
        generations.clear();
        control->open_gate();
    }

    // Returns a caller that belongs to this principal. Callers of different principals have different owners.
    static Caller caller(std::uint64_t principal) {
        return {.principal = principal, .owner = principal, .connection = principal};
    }

    // Submits a request. Returns the error code if the request was refused, or nothing if it was admitted.
    std::optional<errc> submit(std::uint64_t principal, std::uint32_t num_choices = 1,
                               std::size_t prompt = 4) {
        std::vector<Request> requests(1);
        Request& request = requests.front();
        request.prompt.assign(prompt, 5);
        request.max_tokens = 2;
        request.num_choices = num_choices;
        auto generation = client.submit(std::move(requests), caller(principal), Quota::Place(nullptr));
        if (!generation) return generation.error().code;
        generations.push_back(*std::move(generation));
        return std::nullopt;
    }

    std::shared_ptr<FakeControl> control = std::make_shared<FakeControl>();
    boost::asio::io_context io;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
    ServerState state;
    EngineClient client{io, state};
    std::vector<Generation> generations;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(engine_client)

BOOST_AUTO_TEST_CASE(one_principal_may_use_seven_eighths_of_the_places) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});  // 16 places
    for (int i = 0; i < 14; ++i) BOOST_TEST(!fixture.submit(1).has_value());
    BOOST_TEST((fixture.submit(1) == errc::rate_limit_exceeded));
    BOOST_TEST(!fixture.submit(2).has_value());
    BOOST_TEST(!fixture.submit(3).has_value());
}

BOOST_AUTO_TEST_CASE(newcomer_takes_the_place_of_the_youngest_waiting_request_of_a_flood) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});  // 16 places, 8 run
    for (int i = 0; i < 14; ++i) fixture.submit(1);
    for (const std::uint64_t principal : {2, 3}) BOOST_TEST(!fixture.submit(principal).has_value());
    BOOST_TEST(fixture.state.metrics.num_displaced() == 0U);
    BOOST_TEST(!fixture.submit(4).has_value());
    const auto& failure = fixture.generations[13].log().failure();
    BOOST_REQUIRE(failure.has_value());
    BOOST_TEST((failure->code == errc::server_overloaded));
    BOOST_TEST((failure->retry_after >= std::chrono::milliseconds(100)));
    BOOST_TEST(fixture.state.metrics.num_displaced() == 1U);
    // Principal 1 cannot displace another request in return. Requests which the engine has begun are
    // never displaced.
    BOOST_TEST((fixture.submit(1) == errc::server_overloaded));
    for (std::uint64_t principal = 5; principal < 10; ++principal)
        BOOST_TEST(!fixture.submit(principal).has_value());
    BOOST_TEST((fixture.submit(10) == errc::server_overloaded));
    for (std::size_t i = 0; i < 8; ++i) BOOST_TEST(!fixture.generations[i].log().terminal());
    for (std::size_t i = 8; i < 14; ++i) BOOST_TEST(fixture.generations[i].log().terminal());
    // The place of a displaced request was given to another request. The last event of the displaced request
    // must not free the place again.
    fixture.control->open_gate();
    // How many requests the first step contains depends on the threads, so the last one to end can be any.
    for (const Generation& generation : fixture.generations)
        while (!generation.log().terminal()) fixture.io.run_one();
    fixture.io.poll();
    for (int i = 0; i < 14; ++i) BOOST_TEST(!fixture.submit(20).has_value());
    BOOST_TEST((fixture.submit(20) == errc::rate_limit_exceeded));
}

BOOST_AUTO_TEST_CASE(generation_whose_answer_has_begun_keeps_its_place) {
    Fixture fixture({.max_queued_requests = 1, .max_queued_tokens = 1 << 20});  // 9 places
    for (int i = 0; i < 7; ++i) fixture.submit(1);
    for (int i = 0; i < 2; ++i) fixture.submit(2);
    fixture.generations.back().keep_place();
    BOOST_TEST((fixture.submit(3) == errc::server_overloaded));
    BOOST_TEST(!fixture.generations.back().log().terminal());
}

BOOST_AUTO_TEST_CASE(check_open_refuses_only_a_caller_that_would_get_no_place) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});
    for (int i = 0; i < 14; ++i) fixture.submit(1);
    BOOST_TEST((fixture.client.check_open(Fixture::caller(1)).error().code == errc::rate_limit_exceeded));
    for (const std::uint64_t principal : {2, 3}) fixture.submit(principal);
    BOOST_TEST((fixture.client.check_open(Fixture::caller(1)).error().code == errc::rate_limit_exceeded));
    BOOST_TEST(fixture.client.check_open(Fixture::caller(4)).has_value());
}

BOOST_AUTO_TEST_CASE(every_choice_takes_a_place) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});
    BOOST_TEST(!fixture.submit(1, 8).has_value());
    BOOST_TEST((fixture.submit(1, 7) == errc::rate_limit_exceeded));
    BOOST_TEST(!fixture.submit(1, 6).has_value());
}

BOOST_AUTO_TEST_CASE(one_principal_may_queue_seven_eighths_of_the_prompt_tokens) {
    Fixture fixture({.max_queued_requests = 100, .max_queued_tokens = 800});
    BOOST_TEST(!fixture.submit(1, 1, 400).has_value());
    BOOST_TEST((fixture.submit(1, 1, 301) == errc::rate_limit_exceeded));
    BOOST_TEST(!fixture.submit(1, 1, 300).has_value());
    // Only a request that waits for a slot of the engine can be displaced, and here no request waits.
    BOOST_TEST((fixture.submit(2, 1, 101) == errc::server_overloaded));
    BOOST_TEST(!fixture.submit(2, 1, 100).has_value());
}

BOOST_AUTO_TEST_CASE(places_become_free_when_requests_end) {
    Fixture fixture({.max_queued_requests = 0, .max_queued_tokens = 1 << 20});
    for (int i = 0; i < 7; ++i) BOOST_TEST(!fixture.submit(1).has_value());
    BOOST_TEST((fixture.submit(1) == errc::rate_limit_exceeded));
    fixture.control->open_gate();
    while (!fixture.generations.back().log().terminal()) fixture.io.run_one();
    for (int i = 0; i < 7; ++i) BOOST_TEST(!fixture.submit(1).has_value());
}

// The event loop delivers both steps at once, long after the first one ended.
BOOST_AUTO_TEST_CASE(times_of_tokens_are_those_of_the_engine_and_not_of_the_delivery) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});
    BOOST_TEST(!fixture.submit(1).has_value());
    fixture.control->wait_until_held();
    fixture.control->pass_one();
    fixture.control->wait_until_held();
    const auto between_the_steps = Clock::now();
    fixture.control->pass_one();
    const GenerationLog& log = fixture.generations.back().log();
    while (!log.terminal()) fixture.io.run_one();
    const RequestTimes& times = log.times();
    BOOST_TEST((times.accepted <= times.started && times.started < times.first_token));
    BOOST_TEST((times.first_token <= between_the_steps && between_the_steps <= times.last_token));
    BOOST_TEST((log.ended() == times.last_token));
    BOOST_TEST(times.num_first_tokens == 1U);
    BOOST_TEST(tokens_per_second(times, log.num_tokens()).has_value());
    const double first_token = std::chrono::duration<double>(times.first_token - times.accepted).count();
    BOOST_TEST(fixture.state.metrics.first_token.sum() == first_token);
    BOOST_TEST(fixture.state.metrics.decode.sum() ==
               std::chrono::duration<double>(times.last_token - times.first_token).count());
}

BOOST_AUTO_TEST_CASE(rate_counts_only_tokens_after_the_first_step) {
    const Clock::time_point first{std::chrono::hours(1)};
    RequestTimes times{.first_token = first, .last_token = first, .num_first_tokens = 5};
    BOOST_TEST(!tokens_per_second(times, 5).has_value());
    BOOST_TEST(!tokens_per_second({}, 0).has_value());
    times.last_token = first + std::chrono::milliseconds(500);
    BOOST_TEST(tokens_per_second(times, 25).value() == 40);
}

BOOST_AUTO_TEST_CASE(all_prompts_of_a_generation_are_admitted_or_none) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});  // 16 places
    const auto requests = [](std::size_t num_prompts, std::uint32_t num_choices) {
        std::vector<Request> all(num_prompts);
        for (std::size_t i = 0; i < num_prompts; ++i) {
            all[i].prompt.assign(4 + i, 5);
            all[i].max_tokens = static_cast<std::int32_t>(1 + i);
            all[i].num_choices = num_choices;
        }
        return all;
    };
    BOOST_TEST(
        (fixture.client.submit(requests(17, 1), Fixture::caller(1), Quota::Place(nullptr)).error().code ==
         errc::invalid_value));
    auto generation = fixture.client.submit(requests(3, 4), Fixture::caller(1), Quota::Place(nullptr), true);
    BOOST_REQUIRE(generation);
    BOOST_TEST(
        (fixture.client.submit(requests(3, 1), Fixture::caller(1), Quota::Place(nullptr)).error().code ==
         errc::rate_limit_exceeded));
    fixture.control->open_gate();
    while (!generation->log().terminal()) fixture.io.run_one();
    const auto outputs = generation->log().read_all();
    BOOST_REQUIRE(outputs.size() == 12);
    // Output i is a choice of prompt i / 4, whose max_tokens is 1 + i / 4.
    for (const LogDelta& output : outputs) {
        BOOST_TEST(output.num_tokens == 1 + output.output / 4);
        BOOST_TEST(output.token_ids.size() == output.num_tokens);
        BOOST_TEST(output.token_ids == fake_reference(std::vector<TokenId>(4 + output.output / 4, 5),
                                                      static_cast<std::int32_t>(output.num_tokens),
                                                      FakeOptions{}, {.choice = output.output % 4}),
                   boost::test_tools::per_element());
    }
    fixture.generations.push_back(*std::move(generation));
}

BOOST_AUTO_TEST_CASE(destroying_a_generation_of_several_prompts_frees_all_its_places) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});
    const auto whole_load = [] {
        std::vector<Request> all(16);
        for (Request& request : all) {
            request.prompt.assign(4, 5);
            request.max_tokens = 400;
        }
        return all;
    };
    {
        const auto unwanted =
            fixture.client.submit(whole_load(), Fixture::caller(1), Quota::Place(nullptr)).value();
    }
    BOOST_TEST(fixture.client.num_in_flight() == 0);
    fixture.control->open_gate();
    std::optional<Generation> next;
    while (!next) {
        fixture.io.run_one();  // delivers one event; the last event of a request frees its places
        if (auto taken = fixture.client.submit(whole_load(), Fixture::caller(1), Quota::Place(nullptr)))
            next.emplace(*std::move(taken));
    }
}

BOOST_AUTO_TEST_CASE(generation_charges_its_tokens_once_and_holds_its_place_until_it_ends) {
    Fixture fixture({.max_queued_requests = 8, .max_queued_tokens = 1 << 20});
    Quota quota(1, 100);  // one request in flight, 100 tokens per minute
    const Quota::Clock::time_point now{std::chrono::hours(1)};
    const auto two_prompts = [](std::int32_t max_tokens) {
        std::vector<Request> all(2);
        for (Request& request : all) {
            request.prompt.assign(30, 5);
            request.max_tokens = max_tokens;
        }
        return all;
    };
    // A refused generation is charged no tokens and frees its place.
    BOOST_TEST(!fixture.client.submit(two_prompts(1 << 30), Fixture::caller(0), quota.take_place(now).value())
                    .has_value());
    {
        auto generation =
            fixture.client.submit(two_prompts(2), Fixture::caller(0), quota.take_place(now).value());
        BOOST_REQUIRE(generation);
        BOOST_TEST(generation->prompt_tokens() == 60U);
        BOOST_TEST(generation->max_tokens() == 2);
        fixture.control->open_gate();
        while (!generation->log().terminal()) fixture.io.run_one();
        Generation moved = *std::move(generation);
        const Generation moved_again = std::move(moved);
        BOOST_TEST(moved_again.log().num_tokens() == 4U);
        BOOST_TEST(!quota.take_place(now).has_value());
    }
    // 64 of 100 tokens are used: 60 tokens of the prompts and 4 generated tokens. So 36 tokens are left.
    quota.take_place(now)->charge(35);
    BOOST_TEST(quota.take_place(now).has_value());
    quota.take_place(now)->charge(1);
    BOOST_TEST(!quota.take_place(now).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
