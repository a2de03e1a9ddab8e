#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "inference/scheduling/scheduler.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/fake_backend.hpp"
#include "tests/support/scheduler_rig.hpp"

namespace solard {
using std::chrono::milliseconds;

BOOST_AUTO_TEST_SUITE(scheduler)

BOOST_AUTO_TEST_CASE(a_long_prompt_is_computed_in_chunks_beside_decodes) {
    Rig rig({.max_num_batched_tokens = 32});
    rig.add(1, 5, 20);
    rig.step();
    rig.add(2, 100, 2);
    for (const Sizes& expected :
         {Sizes{1, 31}, Sizes{1, 31}, Sizes{1, 31}, Sizes{1, 7}, Sizes{1, 1}, Sizes{1}}) {
        rig.step();
        BOOST_TEST(chunk_sizes(rig.batch) == expected, boost::test_tools::per_element());
    }
    rig.run();
    BOOST_TEST(rig.outcomes[1].tokens == fake_reference(Rig::prompt_of(1, 5), 20));
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 100), 2));
}

BOOST_AUTO_TEST_CASE(sequences_join_and_leave_at_every_step) {
    Rig rig;
    for (RequestId id = 1; id <= 12; ++id) {
        rig.add(id, 4, 3);
        rig.step();
        BOOST_TEST(rig.batch.num_seqs() == static_cast<std::int32_t>(std::min<RequestId>(id, 3)));
    }
    rig.run();
    for (RequestId id = 1; id <= 12; ++id) {
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(id, 4), 3));
        BOOST_TEST((rig.outcomes[id].finish == FinishReason::length));
    }
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64);
}

BOOST_AUTO_TEST_CASE(at_most_max_num_seqs_run_and_the_others_wait_in_order) {
    Rig rig({.max_num_seqs = 2});
    for (RequestId id = 1; id <= 4; ++id) rig.add(id, 4, static_cast<std::int32_t>(id));
    rig.step();
    BOOST_TEST(rig.outcomes.size() == 2U);
    BOOST_TEST(rig.scheduler.snapshot().num_running == 1);
    BOOST_TEST(rig.scheduler.snapshot().num_waiting == 2);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(3));
    BOOST_TEST(!rig.outcomes.contains(4));
}

BOOST_AUTO_TEST_CASE(a_budget_below_max_num_seqs_still_serves_every_running_sequence) {
    Rig rig({.max_num_seqs = 8, .max_num_batched_tokens = 3});
    for (RequestId id = 1; id <= 5; ++id) rig.add(id, 1, 10);
    for (int i = 0; i < 10; ++i) {
        rig.step();
        BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{1, 1, 1}), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_full_pool_preempts_the_last_arrived_sequence_and_never_the_oldest) {
    // Each request needs 4 blocks in the end, and the pool has 6 blocks. Both requests start with one block.
    Rig rig({.num_blocks = 6, .max_model_len = 64});
    rig.add(1, 8, 56);
    rig.add(2, 8, 56);
    std::size_t last = 0;
    while (rig.scheduler.snapshot().num_preemptions == 0) {
        rig.step();
        BOOST_TEST(rig.outcomes[1].tokens.size() == last + 1);  // the oldest sequence advances in every step
        last = rig.outcomes[1].tokens.size();
    }
    BOOST_TEST(rig.scheduler.snapshot().num_running == 1);
    BOOST_TEST(rig.scheduler.snapshot().num_waiting == 1);
    rig.add(3, 8, 2);
    while (rig.outcomes[2].finish == FinishReason::none) rig.step();
    rig.run();
    for (RequestId id = 1; id <= 2; ++id) {
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(id, 8), 56));
    }
    BOOST_TEST(rig.outcomes[3].tokens == fake_reference(Rig::prompt_of(3, 8), 2));
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 6);
}

BOOST_AUTO_TEST_CASE(sixty_four_requests_finish_in_a_pool_for_eight) {
    Rig rig({.max_num_seqs = 64, .max_num_batched_tokens = 128, .num_blocks = 32, .max_model_len = 64});
    for (RequestId id = 1; id <= 64; ++id) rig.add(id, 20, 40);
    while (rig.scheduler.has_work()) {
        const std::size_t before = rig.num_tokens;
        rig.step();
        BOOST_TEST((rig.num_tokens > before || rig.batch.num_tokens() > 64));
    }
    for (RequestId id = 1; id <= 64; ++id) {
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(id, 20), 40));
    }
}

BOOST_AUTO_TEST_CASE(a_cancelled_sequence_keeps_its_blocks_until_the_step_in_flight_is_collected) {
    Rig rig;
    rig.add(1, 40, 10);
    rig.step();
    rig.step([&] {
        rig.scheduler.cancel(1);
        BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 61);
    });
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64);
    BOOST_TEST(rig.outcomes[1].tokens.size() == 1U);  // the token of the step in flight is dropped
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::cancelled));
    BOOST_TEST(!rig.scheduler.has_work());
}

BOOST_AUTO_TEST_CASE(cancelling_one_request_in_flight_does_not_change_the_others) {
    Rig rig;
    for (RequestId id = 1; id <= 3; ++id) rig.add(id, 10, 5);
    rig.step();
    rig.step([&] { rig.scheduler.cancel(2); });
    rig.run();
    BOOST_TEST(rig.outcomes[1].tokens == fake_reference(Rig::prompt_of(1, 10), 5));
    BOOST_TEST(rig.outcomes[3].tokens == fake_reference(Rig::prompt_of(3, 10), 5));
}

BOOST_AUTO_TEST_CASE(waiting_unknown_and_ended_requests_can_be_cancelled) {
    Rig rig({.max_num_seqs = 1});
    rig.add(1, 4, 2);
    rig.add(2, 4, 2);
    rig.step();
    rig.scheduler.cancel(2);
    rig.scheduler.cancel(77);
    rig.run();
    rig.scheduler.cancel(1);
    BOOST_TEST(!rig.scheduler.has_work());
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::length));
    BOOST_TEST((rig.outcomes[2].finish == FinishReason::cancelled));
    BOOST_TEST(rig.outcomes.size() == 2U);
}

BOOST_AUTO_TEST_CASE(deadlines_end_waiting_and_running_requests) {
    Rig rig({.max_num_seqs = 1});
    Request request;
    request.max_tokens = 100;
    request.prompt = {5, 6, 7};
    request.id = 1;
    request.queue_deadline = rig.now + milliseconds(5);
    request.request_deadline = rig.now + milliseconds(10);
    rig.scheduler.add(request);
    request.id = 2;
    rig.scheduler.add(request);
    request.id = 3;
    request.queue_deadline = Clock::time_point::max();
    rig.scheduler.add(request);

    rig.step();
    rig.now += milliseconds(4);
    rig.step();
    BOOST_TEST(!rig.outcomes.contains(2));
    rig.now += milliseconds(1);
    rig.step();
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::none));  // request 1 started before its deadline
    BOOST_TEST((rig.outcomes[2].error == errc::queue_timeout));
    BOOST_TEST((rig.outcomes[2].finish == FinishReason::error));
    rig.now += milliseconds(5);
    rig.step();
    for (const RequestId id : {1, 3}) {
        BOOST_TEST((rig.outcomes[id].finish == FinishReason::error));
        BOOST_TEST((rig.outcomes[id].error == errc::deadline_exceeded));
    }
    BOOST_TEST(rig.outcomes[1].tokens.size() == 3U);
    BOOST_TEST(!rig.scheduler.has_work());
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64);
}

BOOST_AUTO_TEST_CASE(a_request_that_can_never_fit_ends_at_once) {
    Rig rig({.num_blocks = 4, .max_model_len = 512});
    rig.add(1, 60, 6);
    rig.add(2, 60, 5);  // 60 + 4 tokens need KV; the last generated token needs none
    rig.run();
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::error));
    BOOST_TEST((rig.outcomes[1].error == errc::context_length_exceeded));
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 60), 5));
    rig.add(3, 10, std::numeric_limits<std::int32_t>::max());
    rig.add(4, 0, 5);
    rig.add(5, 10, -1);
    rig.run();
    BOOST_TEST((rig.outcomes[3].error == errc::context_length_exceeded));
    BOOST_TEST((rig.outcomes[4].error == errc::invalid_request));
    BOOST_TEST((rig.outcomes[5].error == errc::invalid_request));
}

BOOST_AUTO_TEST_CASE(a_row_that_is_not_finite_ends_only_its_own_request) {
    FakeOptions options;
    options.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.front() == Rig::prompt_of(2, 6).front() && context.size() == 9) {
            return SampledToken{.token = -1, .finite = false};
        }
        return std::nullopt;
    };
    Rig rig({}, options);
    for (RequestId id = 1; id <= 3; ++id) rig.add(id, 6, 10);
    rig.run();
    BOOST_TEST((rig.outcomes[2].finish == FinishReason::error));
    BOOST_TEST((rig.outcomes[2].error == errc::numerical_error));
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 6), 3));
    BOOST_TEST(rig.outcomes[1].tokens == fake_reference(Rig::prompt_of(1, 6), 10));
    BOOST_TEST(rig.outcomes[3].tokens == fake_reference(Rig::prompt_of(3, 6), 10));
}

BOOST_AUTO_TEST_CASE(a_token_allocates_nothing) {
    Scheduler scheduler({.max_num_seqs = 16,
                         .max_num_batched_tokens = 64,
                         .num_blocks = 512,
                         .max_model_len = 4096,
                         .max_speculative_step_rows = 16});
    for (RequestId id = 1; id <= 4; ++id) {
        Request request;
        request.id = id;
        request.prompt = Rig::prompt_of(id, 20);
        request.max_tokens = 2000;
        request.stop = {"ab"};
        scheduler.add(std::move(request));
    }
    StepResults results;
    results.rows.reserve(16);
    std::vector<ProgressEvent> progress;
    progress.reserve(16);
    std::string text;
    text.reserve(16384);
    std::uint64_t before = 0;
    int num_tokens = 0;
    for (int step = 0; step < 150; ++step) {
        if (step == 20) before = num_allocations();  // by then all prompts are computed
        const ForwardBatch& batch = scheduler.schedule(Clock::time_point{});
        results.rows.assign(batch.logits_rows.size(), {.token = 5});
        for (const Scheduler::Advance& advance : scheduler.complete(results)) {
            for (std::int32_t i = 0; i < advance.num_tokens; ++i, ++num_tokens) {
                advance.sequence->accept_token("ac", text);
            }
        }
        scheduler.append_progress(progress);
        progress.clear();
    }
    BOOST_TEST(num_tokens > 4 * 130);
    BOOST_TEST(scheduler.snapshot().accepted_draft_tokens > 0U);
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_CASE(abort_ends_all_requests_including_those_in_flight) {
    Rig rig({.max_num_seqs = 1});
    rig.add(1, 4, 5);
    rig.add(2, 4, 5);
    rig.scheduler.schedule(rig.now);
    rig.scheduler.abort(errc::engine_unavailable);
    const auto ended = rig.scheduler.complete({});
    BOOST_TEST(ended.size() == 2U);
    for (const Scheduler::Advance& advance : ended) {
        BOOST_TEST((advance.sequence->finish == FinishReason::error));
        BOOST_TEST((advance.sequence->error == errc::engine_unavailable));
    }
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
