// Requests that want the log-probabilities of their prompt: what the scheduler asks of the backend, and what
// it reports.
#include <boost/test/unit_test.hpp>
#include <optional>
#include <span>
#include <vector>

#include "inference/engine/engine_core.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/scheduler_rig.hpp"

namespace solard {
namespace {

std::vector<RankedLogprob> expected_scores(const Request& request, const FakeOptions& options = {}) {
    std::vector<RankedLogprob> all;
    for (std::size_t length = 1; length < request.prompt.size(); ++length) {
        const auto scores = fake_scores(std::span(request.prompt).first(length), request.prompt[length],
                                        request.num_prompt_logprobs, options);
        all.insert(all.end(), scores.begin(), scores.end());
    }
    return all;
}

Request scored_request(RequestId id, std::int32_t prompt_tokens, std::int32_t max_tokens,
                       std::int32_t num_prompt_logprobs = 2) {
    Request request = Rig::request(id, prompt_tokens, max_tokens);
    request.num_prompt_logprobs = num_prompt_logprobs;
    return request;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(prompt_logprobs)

BOOST_AUTO_TEST_CASE(each_token_but_the_first_is_scored_once_in_chunks_of_any_size) {
    for (const std::int32_t budget : {1, 7, 16, 64, 512}) {
        for (const std::int32_t length : {1, 2, 16, 17, 100}) {
            Rig rig({.max_num_batched_tokens = budget});
            const Request request = scored_request(1, length, 3);
            rig.scheduler.add(request);
            rig.run();
            BOOST_TEST(same_bits(rig.outcomes[1].prompt_logprobs, expected_scores(request)));
            BOOST_TEST(rig.outcomes[1].tokens == fake_reference(request.prompt, 3));
        }
    }
}

BOOST_AUTO_TEST_CASE(scored_tokens_do_not_count_as_logits_rows) {
    Rig rig({.max_num_seqs = 2, .max_num_batched_tokens = 64});
    rig.scheduler.add(scored_request(1, 50, 2));
    rig.step();
    BOOST_TEST(rig.batch.num_rows() == 1);
    BOOST_TEST(rig.batch.scored_tokens.size() == 49U);
    BOOST_TEST(rig.batch.num_scores() == 49 * 3);
    rig.run();
}

// A principal below its share takes the slot of the scored request in the middle of its prompt.
BOOST_AUTO_TEST_CASE(tokens_scored_before_a_preemption_are_not_scored_again) {
    Rig rig({.max_num_seqs = 2, .max_num_batched_tokens = 32});
    rig.add(1, 10, 300, 1);
    Request request = scored_request(2, 100, 5);
    request.principal.id = 1;
    rig.step();
    rig.scheduler.add(request);
    rig.step();
    const std::size_t num_scores = rig.outcomes[2].prompt_logprobs.size();
    BOOST_TEST(num_scores == 31U * 3U);
    rig.add(3, 10, 2, 2);
    rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 1U);
    BOOST_TEST(rig.outcomes[2].prompt_logprobs.size() == num_scores);
    rig.run();
    BOOST_TEST(same_bits(rig.outcomes[2].prompt_logprobs, expected_scores(request)));
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(request.prompt, 5));
    BOOST_TEST(rig.outcomes[2].num_cached_tokens == 0);
}

BOOST_AUTO_TEST_CASE(cached_prefix_is_not_used_but_the_prompt_is_cached) {
    Rig rig({.max_num_batched_tokens = 128});
    Request request = scored_request(1, 100, 1);
    for (RequestId id = 1; id <= 2; ++id) {
        request.id = id;
        rig.scheduler.add(request);
        rig.run();
        BOOST_TEST(rig.outcomes[id].num_cached_tokens == 0);
        BOOST_TEST(same_bits(rig.outcomes[id].prompt_logprobs, expected_scores(request)));
    }
    BOOST_TEST(rig.scheduler.snapshot().prefix_cache_queries == 0U);
    request.id = 3;
    request.num_prompt_logprobs = -1;
    rig.scheduler.add(request);
    rig.run();
    BOOST_TEST(rig.outcomes[3].num_cached_tokens == 96);
    BOOST_TEST(rig.outcomes[3].prompt_logprobs.empty());
}

BOOST_AUTO_TEST_CASE(only_the_first_choice_reports_scores) {
    Rig rig({.num_blocks = 4, .max_model_len = 64});  // choices are preempted and computed again
    Request request = scored_request(1, 40, 24);
    request.num_choices = 4;
    rig.scheduler.add(request);
    rig.run();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions > 0U);
    BOOST_TEST(same_bits(rig.outcomes[1].prompt_logprobs, expected_scores(request)));
    BOOST_TEST(rig.other_choices.size() == 3U);
    for (const auto& [key, outcome] : rig.other_choices) {
        BOOST_TEST(outcome.prompt_logprobs.empty());
        BOOST_TEST((outcome.tokens == fake_reference(request.prompt, 24, {}, {.choice = key.second})));
    }
}

BOOST_AUTO_TEST_CASE(request_for_no_tokens_ends_when_its_prompt_is_computed) {
    for (const std::int32_t length : {1, 16, 60, 64}) {  // 64 tokens fill the context and the pool
        for (const std::uint32_t num_choices : {1U, 3U}) {
            Rig rig({.max_num_batched_tokens = 32, .num_blocks = 4, .max_model_len = 64});
            Request request = scored_request(1, length, 0);
            request.num_choices = num_choices;
            rig.scheduler.add(request);
            rig.run();
            BOOST_TEST(rig.num_steps == (length + 31) / 32);
            BOOST_TEST(rig.num_tokens == 0U);
            BOOST_TEST((rig.outcomes[1].finish == FinishReason::length));
            BOOST_TEST(same_bits(rig.outcomes[1].prompt_logprobs, expected_scores(request)));
            BOOST_TEST(rig.other_choices.size() == num_choices - 1);
            for (const auto& [key, outcome] : rig.other_choices) {
                BOOST_TEST((outcome.finish == FinishReason::length));
            }
            BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 4);
            BOOST_TEST(rig.scheduler.snapshot().num_cached_blocks == length / 16);
        }
    }
}

BOOST_AUTO_TEST_CASE(request_for_neither_tokens_nor_scores_only_fills_the_prefix_cache) {
    Rig rig({.max_num_batched_tokens = 128});
    Request request = scored_request(1, 100, 0, -1);
    for (RequestId id = 1; id <= 2; ++id) {
        request.id = id;
        rig.scheduler.add(request);
        rig.run();
        BOOST_TEST((rig.outcomes[id].finish == FinishReason::length));
        BOOST_TEST(rig.outcomes[id].prompt_logprobs.empty());
    }
    BOOST_TEST(rig.num_tokens == 0U);
    BOOST_TEST(rig.scheduler.snapshot().prefix_cache_hits == 96U);
}

BOOST_AUTO_TEST_CASE(request_out_of_range_is_refused) {
    Rig rig({.num_blocks = 4, .max_model_len = 64});
    rig.scheduler.add(scored_request(1, 10, 5, 20));
    rig.scheduler.add(scored_request(2, 10, 5, 21));
    rig.scheduler.add(scored_request(3, 10, -1, 0));
    rig.scheduler.add(scored_request(4, 65, 0, 0));
    rig.run();
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::length));
    BOOST_TEST((rig.outcomes[2].error == errc::invalid_request));
    BOOST_TEST((rig.outcomes[3].error == errc::invalid_request));
    BOOST_TEST((rig.outcomes[4].error == errc::context_length_exceeded));
}

BOOST_AUTO_TEST_CASE(row_of_the_prompt_that_is_not_finite_ends_the_request) {
    FakeOptions options;
    options.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.size() != 40) return std::nullopt;
        return SampledToken{.token = -1, .finite = false};
    };
    Rig rig({.max_num_batched_tokens = 32}, options);
    const Request request = scored_request(1, 100, 5);
    rig.scheduler.add(request);
    rig.add(2, 20, 5);
    rig.run();
    BOOST_TEST((rig.outcomes[1].error == errc::numerical_error));
    const auto expected = expected_scores(request);
    const auto& found = rig.outcomes[1].prompt_logprobs;
    BOOST_TEST(found.size() < 40U * 3U);
    BOOST_TEST(same_bits(found, std::span(expected).first(found.size())));
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 20), 5));
    BOOST_TEST(rig.scheduler.snapshot().num_cached_blocks == 1);  // of the second request
}

BOOST_AUTO_TEST_CASE(cancel_in_flight_reports_no_score_of_that_step) {
    Rig rig({.max_num_batched_tokens = 32});
    rig.scheduler.add(scored_request(1, 100, 5));
    rig.step();
    rig.step([&] { rig.scheduler.cancel(1); });
    rig.run();
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::cancelled));
    BOOST_TEST(rig.outcomes[1].prompt_logprobs.size() == 32U * 3U);
}

BOOST_AUTO_TEST_CASE(events_carry_the_scores_before_the_first_token) {
    FakeOptions options;
    options.vocab_size = 2048;
    FakeBackend backend(options);
    const SchedulerOptions scheduling{
        .max_num_seqs = 8, .max_num_batched_tokens = 32, .num_blocks = 64, .max_model_len = 512};
    EngineRun run(backend, demo_tokenizer(), scheduling);  // throws if a score comes after a token
    const Request first = scored_request(1, 70, 4, 20);
    const Request second = scored_request(2, 30, 0, 0);
    run.submit(first);
    run.submit(second);
    run.run();
    const Answer& generated = run.answers[{1, 0}];
    const Answer& empty = run.answers[{2, 0}];
    BOOST_TEST(same_bits(generated.prompt_logprobs, expected_scores(first, options)));
    BOOST_TEST(same_bits(empty.prompt_logprobs, expected_scores(second, options)));
    BOOST_TEST(generated.tokens == fake_reference(first.prompt, 4, options));
    BOOST_TEST(empty.tokens.empty());
    BOOST_TEST(empty.text.empty());
    BOOST_TEST((empty.finish == FinishReason::length));
}

BOOST_AUTO_TEST_CASE(step_that_scores_allocates_nothing) {
    Scheduler scheduler(
        {.max_num_seqs = 4, .max_num_batched_tokens = 64, .num_blocks = 512, .max_model_len = 4096});
    scheduler.add(scored_request(1, 1000, 5, max_top_logprobs));
    StepResults results;
    results.rows.reserve(4);
    results.scores.reserve(std::size_t{64} * (1 + max_top_logprobs));
    std::uint64_t before = 0;
    std::size_t num_scores = 0;
    for (int step = 0; step < 15; ++step) {
        if (step == 1) before = num_allocations();
        const ForwardBatch& batch = scheduler.schedule(Clock::time_point{});
        results.rows.assign(batch.logits_rows.size(), {.token = 5});
        results.scores.assign(static_cast<std::size_t>(batch.num_scores()), {.token = 5, .rank = 1});
        for (const Scheduler::Advance& advance : scheduler.complete(results)) {
            num_scores += static_cast<std::size_t>(advance.num_scores);
        }
    }
    BOOST_TEST(num_scores == 15U * 64U * 21U);
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
