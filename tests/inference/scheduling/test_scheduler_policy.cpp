// Tests the scheduler's policy: fair shares, shared prompts, cached prefixes, drafts and progress.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/scheduler_rig.hpp"

namespace solard {
namespace {

using Phase = ProgressEvent::Phase;

// Steps a Rig and keeps the reports of append_progress().
class ProgressView {
  public:
    explicit ProgressView(Rig& rig) : rig_(rig) {}

    void step() {
        rig_.step();
        events.clear();
        rig_.scheduler.append_progress(events);
        for (const ProgressEvent& event : events) latest[event.id] = event;
    }
    // Steps until the request has left the queue. Returns the number of steps.
    int steps_to_start(RequestId id) {
        for (int steps = 1;; ++steps) {
            if (steps > 10'000) throw std::runtime_error("the request never starts");
            step();
            const auto found = latest.find(id);
            const bool waits = found != latest.end() && found->second.phase == Phase::queued;
            if (!waits || rig_.outcomes.contains(id)) return steps;
        }
    }
    int num_running(RequestId first, RequestId last) const {
        int count = 0;
        for (const auto& [id, event] : latest) {
            const bool runs = event.phase == Phase::prefill || event.phase == Phase::decoding;
            const auto outcome = rig_.outcomes.find(id);
            const bool ended = outcome != rig_.outcomes.end() && outcome->second.finish != FinishReason::none;
            count += id >= first && id <= last && runs && !ended ? 1 : 0;
        }
        return count;
    }

    std::vector<ProgressEvent> events;  // of the last step
    std::map<RequestId, ProgressEvent> latest;

  private:
    Rig& rig_;
};

// Returns options of a model that repeats the token five places back, with a few exceptions, so that drafts
// can be correct.
FakeOptions repeating_model() {
    FakeOptions options;
    options.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context.size() < 6 || context.size() % 11 == 0) return std::nullopt;
        return SampledToken{.token = context[context.size() - 5]};
    };
    return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fair_share)

BOOST_AUTO_TEST_CASE(many_requests_of_one_principal_do_not_delay_another) {
    const Limits limits{.max_num_seqs = 16, .max_num_batched_tokens = 128, .num_blocks = 400};
    Rig idle(limits);
    idle.add(1, 100, 20, 2);
    const int solo = ProgressView(idle).steps_to_start(1);

    Rig rig(limits);
    ProgressView view(rig);
    for (RequestId id = 1; id <= 500; ++id) rig.add(id, 100, 50, 1);
    for (int i = 0; i < 20; ++i) view.step();
    for (RequestId id = 1001; id <= 1050; ++id) {
        rig.add(id, 100, 20, 2);
        BOOST_TEST(view.steps_to_start(id) <= 2 * solo + 1);
        for (int i = 0; i < 30; ++i) view.step();  // until the answer has ended
        BOOST_TEST((rig.outcomes[id].finish == FinishReason::length));
    }
    rig.run();
    for (RequestId id = 1; id <= 500; ++id) {
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(id, 100), 50));
    }
}

BOOST_AUTO_TEST_CASE(a_principal_below_its_share_takes_a_slot_from_the_principal_furthest_above) {
    Rig rig({.max_num_seqs = 4});
    for (RequestId id = 1; id <= 3; ++id) rig.add(id, 10, 100, 1);
    rig.add(4, 10, 100, 2);
    rig.step();
    rig.add(5, 10, 100, 3);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(5));
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 1U);
    rig.step();
    BOOST_TEST(rig.outcomes[3].tokens.size() == 1U);  // the youngest sequence of principal 1 was preempted
    BOOST_TEST(rig.outcomes[2].tokens.size() == 3U);
    BOOST_TEST(rig.outcomes[4].tokens.size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_principal_below_its_share_takes_blocks) {
    Rig rig({.max_num_seqs = 8, .num_blocks = 16});
    for (RequestId id = 1; id <= 4; ++id) rig.add(id, 50, 10, 1);
    rig.step();
    rig.step();
    rig.step();
    rig.step();
    const auto before = rig.scheduler.snapshot().num_preemptions;
    rig.add(5, 50, 10, 2);
    rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions > before);
    BOOST_TEST(rig.outcomes.contains(5));
    rig.run();
    for (RequestId id = 1; id <= 5; ++id) {
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(id, 50), 10));
    }
}

// Decodes alone fill the budget. Nevertheless, a newcomer starts in the next step.
BOOST_AUTO_TEST_CASE(a_budget_full_of_decodes_does_not_exclude_newcomers) {
    Rig rig({.max_num_seqs = 64, .max_num_batched_tokens = 3});
    for (RequestId id = 1; id <= 3; ++id) rig.add(id, 1, 400, 1);
    for (int i = 0; i < 5; ++i) rig.step();
    BOOST_TEST(rig.batch.num_tokens() == 3);
    rig.add(4, 1, 3, 2);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(4));
}

BOOST_AUTO_TEST_CASE(prompts_keep_a_quarter_of_the_budget) {
    Rig rig({.max_num_seqs = 64, .max_num_batched_tokens = 16});
    for (RequestId id = 1; id <= 20; ++id) rig.add(id, 1, 100);
    for (int i = 0; i < 5; ++i) rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_running == 12);
}

// There are more principals than slots. The first slot of one principal has precedence over the second slot
// of another principal.
BOOST_AUTO_TEST_CASE(a_principal_without_a_slot_takes_one_even_if_its_share_is_less_than_one) {
    Rig rig({.max_num_seqs = 4});
    for (RequestId id = 1; id <= 4; ++id) rig.add(id, 10, 400, 1);
    rig.step();
    for (RequestId id = 11; id <= 19; ++id) rig.add(id, 10, 400, id);
    rig.step();
    for (RequestId id = 11; id <= 13; ++id) BOOST_TEST(rig.outcomes.contains(id));
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 3U);
    for (int i = 0; i < 20; ++i) rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 3U);  // no preemption was added
}

BOOST_AUTO_TEST_CASE(a_prompt_larger_than_its_share_takes_blocks_from_a_principal_that_holds_more) {
    Rig rig({.max_num_seqs = 8, .max_num_batched_tokens = 512, .num_blocks = 40});
    for (RequestId id = 1; id <= 6; ++id) rig.add(id, 90, 60, 1);
    for (RequestId id = 11; id <= 12; ++id) rig.add(id, 10, 400, id);
    rig.step();
    rig.add(20, 180, 4, 4);  // 12 of 40 blocks; the share of each of four principals is 10
    rig.step();
    BOOST_TEST(rig.outcomes.contains(20));
}

// There are more principals than can run in the pool, each with one request. No request may preempt another.
BOOST_AUTO_TEST_CASE(principals_with_equal_shares_do_not_preempt_each_other) {
    Rig rig({.max_num_seqs = 32, .max_num_batched_tokens = 512, .num_blocks = 64});
    for (RequestId id = 1; id <= 20; ++id) rig.add(id, 90, 60, id);
    for (int i = 0; i < 12; ++i) rig.step();  // too few steps for the running sequences to outgrow the pool
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 0U);
}

// The preemption of a sequence does not free the blocks which this sequence shares with the newcomer. So more
// sequences must be preempted.
BOOST_AUTO_TEST_CASE(blocks_that_the_newcomer_shares_are_not_counted_as_freed) {
    Rig rig({.max_num_seqs = 16, .max_num_batched_tokens = 1024, .num_blocks = 64});
    for (RequestId id = 1; id <= 5; ++id) rig.add(id, 120, 100, 1);
    const Request known = Rig::request(7, 200, 60, 1);
    rig.scheduler.add(known);
    rig.step();
    rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_running == 6);
    Request again = Rig::request(8, 200, 4, 2);
    again.prompt = known.prompt;
    again.prompt.insert(again.prompt.end(), 160, 7);  // ten blocks longer than the known prompt
    rig.scheduler.add(again);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(8));
    BOOST_TEST(rig.outcomes[8].num_cached_tokens == 192);
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 2U);
}

// While the next request waits for more slots than are free, only a limited number of later requests may
// overtake that request. For each request that waits in this way, the count of overtaking requests starts
// from 0.
BOOST_AUTO_TEST_CASE(the_count_of_passes_restarts_for_the_next_request_that_keeps_a_turn) {
    Rig rig({.max_num_seqs = 4});
    rig.add(1, 10, 400, 1);
    rig.step();
    RequestId next = 100;
    const auto keep = [&](RequestId id) {
        Request wide = Rig::request(id, 10, 20, id);
        wide.num_choices = 4;
        rig.scheduler.add(wide);
        rig.step();
    };
    const auto pass = [&] {
        rig.add(next, 10, 1, next);
        rig.step();
        return rig.outcomes.contains(next++);
    };
    keep(2);
    for (int i = 0; i < 4; ++i) BOOST_TEST(pass());
    BOOST_TEST(!pass());
    rig.scheduler.cancel(2);
    rig.step();
    keep(3);
    BOOST_TEST(pass());
}

// The choices of one request share blocks, which become free only if all of the choices are preempted.
BOOST_AUTO_TEST_CASE(blocks_shared_only_among_the_victims_count_as_freed) {
    Rig rig({.max_num_seqs = 8, .max_num_batched_tokens = 512, .num_blocks = 32});
    rig.add(1, 10, 400, 1);
    Request shared = Rig::request(2, 320, 60, 1);
    shared.num_choices = 3;
    rig.scheduler.add(shared);
    rig.step();
    rig.step();
    rig.add(3, 160, 4, 2);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(3));
}

// While a request waits for many slots, later requests may use the slots that are already free.
BOOST_AUTO_TEST_CASE(free_slots_are_used_while_a_request_waits_for_more_of_them) {
    Rig rig({.max_num_seqs = 8});
    rig.add(1, 10, 400, 1);
    rig.step();
    Request wide = Rig::request(2, 10, 20, 2);
    wide.num_choices = 8;
    rig.scheduler.add(wide);
    rig.step();
    rig.add(3, 10, 5, 3);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(3));
    // Request 2 does not wait forever: it starts within 100 steps, although new requests keep arriving.
    RequestId next = 100;
    int steps = 0;
    rig.scheduler.cancel(1);
    while (!rig.outcomes.contains(2)) {
        rig.add(next, 10, 3, next);
        ++next;
        rig.step();
        BOOST_REQUIRE(++steps < 100);
    }
}

// Decodes reduce the number of prompt tokens that their principal may schedule. This reduction is bounded, so
// that it does not starve a later prompt of the principal.
BOOST_AUTO_TEST_CASE(the_debt_of_decodes_is_bounded) {
    Rig rig({.max_num_seqs = 64, .max_num_batched_tokens = 16, .num_blocks = 2048, .max_model_len = 4096});
    for (RequestId id = 1; id <= 8; ++id) rig.add(id, 1, 3000, 1);
    for (int i = 0; i < 8; ++i) rig.step();
    rig.add(20, 2000, 1, 2);
    rig.add(9, 60, 1, 1);
    for (int i = 0; i < 200; ++i) rig.step();
    for (RequestId id = 1; id <= 8; ++id) rig.scheduler.cancel(id);
    int steps = 0;
    while (!rig.outcomes.contains(9)) {
        rig.step();
        BOOST_REQUIRE(++steps < 20);
    }
}

BOOST_AUTO_TEST_CASE(no_sequence_is_preempted_for_fairness_without_a_newcomer) {
    Rig rig({.max_num_seqs = 4, .num_blocks = 512});
    for (RequestId id = 1; id <= 20; ++id) rig.add(id, 10, 30, 1);
    rig.run();
    for (RequestId id = 101; id <= 120; ++id) rig.add(id, 10, 30, 1 + id % 2);
    rig.run();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 0U);
}

BOOST_AUTO_TEST_CASE(weights_determine_the_shares) {
    Rig rig({.max_num_seqs = 16, .max_num_batched_tokens = 256, .num_blocks = 512});
    ProgressView view(rig);
    for (RequestId id = 1; id <= 60; ++id) {
        Request request = Rig::request(id, 10, 100, 1);
        rig.scheduler.add(request);
        request = Rig::request(100 + id, 10, 100, 2);
        request.principal.weight = 3;
        rig.scheduler.add(request);
    }
    for (int i = 0; i < 50; ++i) view.step();
    BOOST_TEST(view.num_running(1, 60) == 4);
    BOOST_TEST(view.num_running(101, 160) == 12);
}

BOOST_AUTO_TEST_CASE(prompt_tokens_are_dealt_out_by_weight) {
    Rig rig({.max_num_seqs = 4, .max_num_batched_tokens = 256, .num_blocks = 512, .max_model_len = 4096});
    rig.add(1, 3000, 1, 1);
    Request heavy = Rig::request(2, 3000, 1, 2);
    heavy.principal.weight = 3;
    rig.scheduler.add(heavy);
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{64, 192}), boost::test_tools::per_element());
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{64, 192}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(newest_request_determines_the_weight_of_its_principal) {
    Rig rig({.max_num_seqs = 16, .max_num_batched_tokens = 256, .num_blocks = 512});
    ProgressView view(rig);
    for (RequestId id = 1; id <= 60; ++id) {
        rig.scheduler.add(Rig::request(id, 10, 100, 1));
        Request request = Rig::request(100 + id, 10, 100, 2);
        request.principal.weight = id < 60 ? 1 : 3;
        rig.scheduler.add(request);
    }
    for (int i = 0; i < 50; ++i) view.step();
    BOOST_TEST(view.num_running(1, 60) == 4);
    BOOST_TEST(view.num_running(101, 160) == 12);
}

BOOST_AUTO_TEST_CASE(large_weights_do_not_make_large_turns) {
    Rig rig({.max_num_seqs = 4, .max_num_batched_tokens = 256, .num_blocks = 512, .max_model_len = 4096});
    for (const RequestId id : {1, 2}) {
        Request request = Rig::request(id, 3000, 1, id);
        request.principal.weight = 1024;
        rig.scheduler.add(request);
    }
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{128, 128}), boost::test_tools::per_element());
    Request light = Rig::request(3, 100, 1, 3);
    light.principal.weight = 64;
    rig.scheduler.add(light);
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch).back() >= 6);
}

BOOST_AUTO_TEST_CASE(a_prompt_alone_takes_the_whole_budget) {
    Rig rig({.max_num_batched_tokens = 500, .max_model_len = 1024});
    rig.add(1, 600, 1);
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{500}), boost::test_tools::per_element());
    rig.add(2, 100, 1);
    rig.add(3, 300, 1);
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{100, 100, 300}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_short_prompt_of_another_principal_does_not_wait_for_a_long_one) {
    Rig rig({.max_num_seqs = 4, .max_num_batched_tokens = 128, .num_blocks = 512, .max_model_len = 4096});
    rig.add(1, 3000, 1, 1);
    rig.step();
    rig.add(2, 60, 1, 2);
    rig.step();
    BOOST_TEST(rig.outcomes.contains(2));
}

BOOST_AUTO_TEST_CASE(priority_orders_the_waiting_requests_of_one_principal_only) {
    Rig rig({.max_num_seqs = 1});
    ProgressView view(rig);
    rig.add(1, 10, 3, 1);
    view.step();
    for (RequestId id = 2; id <= 4; ++id) {
        Request request = Rig::request(id, 10, 3, 1);
        request.priority = id == 4 ? -1 : 0;
        rig.scheduler.add(request);
    }
    Request other = Rig::request(5, 10, 3, 2);
    other.priority = 7;
    rig.scheduler.add(other);
    view.step();
    BOOST_TEST(view.latest[4].done == 0);
    BOOST_TEST(view.latest[5].done == 1);  // principals alternate
    BOOST_TEST(view.latest[2].done == 2);
    BOOST_TEST(view.latest[3].done == 3);
    std::vector<RequestId> order;
    while (rig.scheduler.has_work()) {
        rig.step();
        for (const auto& [id, outcome] : rig.outcomes) {
            if (std::ranges::find(order, id) == order.end()) order.push_back(id);
        }
    }
    BOOST_TEST(order == (std::vector<RequestId>{1, 4, 5, 2, 3}), boost::test_tools::per_element());
}

// Each of four newcomers preempts request 2. A fifth newcomer may not preempt it, so that request 2 can end.
BOOST_AUTO_TEST_CASE(a_sequence_preempted_four_times_yields_only_to_older_ones) {
    Rig rig({.max_num_seqs = 2});
    rig.add(1, 10, 400, 1);
    rig.add(2, 10, 40, 1);
    rig.step();
    for (RequestId newcomer = 11; newcomer <= 14; ++newcomer) {
        rig.add(newcomer, 10, 2, newcomer);
        rig.step();
        BOOST_TEST(rig.outcomes.contains(newcomer));
        while (rig.outcomes[newcomer].finish == FinishReason::none) rig.step();
        rig.step();  // request 2 runs again
    }
    rig.add(15, 10, 2, 15);
    while (rig.outcomes[2].finish == FinishReason::none) {
        rig.step();
        BOOST_TEST(rig.outcomes[15].tokens.empty());
    }
    BOOST_TEST(rig.outcomes[2].num_preemptions == 4);
    rig.run();
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 10), 40));
}

BOOST_AUTO_TEST_CASE(a_large_request_is_not_starved_by_small_ones) {
    Rig rig({.max_num_seqs = 8, .num_blocks = 32});
    RequestId next = 100;
    for (int i = 0; i < 8; ++i) rig.add(next++, 20, 30, 1);
    rig.step();
    rig.add(1, 400, 20, 2);  // 27 of 32 blocks: more than its share
    int steps = 0;
    while (!rig.outcomes.contains(1)) {
        rig.add(next++, 20, 30, 1);
        rig.step();
        BOOST_REQUIRE(++steps < 200);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(prefix_cache)

BOOST_AUTO_TEST_CASE(a_prompt_is_found_only_with_the_same_salt) {
    Rig rig({.max_num_batched_tokens = 128});
    for (RequestId id = 1; id <= 3; ++id) {
        Request request = Rig::request(id, 1, 3);
        request.prompt = Rig::prompt_of(7, 100);
        request.cache_salt = id == 3 ? 2 : 1;
        rig.scheduler.add(request);
        rig.run();
        BOOST_TEST(rig.outcomes[id].tokens == fake_reference(Rig::prompt_of(7, 100), 3));
    }
    BOOST_TEST(rig.outcomes[1].num_cached_tokens == 0);
    BOOST_TEST(rig.outcomes[2].num_cached_tokens == 96);
    BOOST_TEST(rig.outcomes[3].num_cached_tokens == 0);
    BOOST_TEST(rig.scheduler.snapshot().prefix_cache_queries == 300U);
    BOOST_TEST(rig.scheduler.snapshot().prefix_cache_hits == 96U);
}

BOOST_AUTO_TEST_CASE(the_last_token_is_always_computed) {
    Rig rig({.max_num_batched_tokens = 128});
    for (RequestId id = 1; id <= 2; ++id) {
        Request request = Rig::request(id, 1, 3);
        request.prompt = Rig::prompt_of(7, 96);
        rig.scheduler.add(request);
        rig.run();
    }
    BOOST_TEST(rig.outcomes[2].num_cached_tokens == 80);
    BOOST_TEST(rig.outcomes[2].tokens == rig.outcomes[1].tokens);
}

BOOST_AUTO_TEST_CASE(the_next_turn_of_a_conversation_finds_the_answer_in_the_cache) {
    Rig rig({.max_num_batched_tokens = 128});
    rig.add(1, 50, 40);
    rig.run();
    Request next = Rig::request(2, 50, 3);
    next.prompt = Rig::prompt_of(1, 50);
    next.prompt.insert(next.prompt.end(), rig.outcomes[1].tokens.begin(), rig.outcomes[1].tokens.end());
    next.prompt.push_back(17);
    rig.scheduler.add(next);
    rig.run();
    BOOST_TEST(rig.outcomes[2].num_cached_tokens == 80);  // 89 tokens have KV: 5 whole blocks
}

BOOST_AUTO_TEST_CASE(running_sequences_share_cached_blocks) {
    Rig rig({.max_num_batched_tokens = 512, .num_blocks = 32});
    Request request = Rig::request(1, 1, 200);
    request.prompt = Rig::prompt_of(7, 160);
    rig.scheduler.add(request);
    rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 22);
    for (request.id = 2; request.id <= 5; ++request.id) {
        request.sampling.seed = request.id;
        rig.scheduler.add(request);
    }
    rig.step();
    // Nine of ten blocks are shared. Each sequence has its own tenth block, and the first sequence has an
    // eleventh.
    BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 32 - 9 - 5 - 1);
}

BOOST_AUTO_TEST_CASE(the_prefix_cache_can_be_disabled) {
    Rig rig({.max_num_batched_tokens = 128, .prefix_cache = false});
    for (RequestId id = 1; id <= 2; ++id) {
        Request request = Rig::request(id, 1, 3);
        request.prompt = Rig::prompt_of(7, 100);
        rig.scheduler.add(request);
        rig.run();
        BOOST_TEST(rig.outcomes[id].num_cached_tokens == 0);
    }
    BOOST_TEST(rig.scheduler.snapshot().num_cached_blocks == 0);
    BOOST_TEST(rig.scheduler.snapshot().prefix_cache_queries == 0U);
}

BOOST_AUTO_TEST_CASE(a_prompt_whose_row_is_not_finite_is_not_cached) {
    bool is_broken = true;
    FakeOptions options;
    options.script = [&](std::span<const TokenId>) -> std::optional<SampledToken> {
        if (!is_broken) return std::nullopt;
        return SampledToken{.token = -1, .finite = false};
    };
    Rig rig({.max_num_batched_tokens = 32}, options);  // the prompt is computed in four chunks
    for (RequestId id = 1; id <= 2; ++id) {
        Request request = Rig::request(id, 1, 3);
        request.prompt = Rig::prompt_of(7, 100);
        rig.scheduler.add(request);
        rig.run();
        is_broken = false;
    }
    BOOST_TEST((rig.outcomes[1].error == errc::numerical_error));
    BOOST_TEST(rig.outcomes[2].num_cached_tokens == 0);
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(7, 100), 3));
}

BOOST_AUTO_TEST_CASE(a_preempted_sequence_finds_its_computed_blocks_in_the_cache) {
    Rig rig({.max_num_seqs = 2, .max_num_batched_tokens = 128});
    rig.add(1, 10, 300, 1);
    rig.add(2, 100, 20, 1);
    rig.step();
    rig.add(3, 10, 2, 2);
    rig.step();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions == 1U);
    rig.step();
    BOOST_TEST((rig.outcomes[3].finish == FinishReason::length));
    rig.step();
    BOOST_TEST(chunk_sizes(rig.batch) == (Sizes{1, 101 - 96}), boost::test_tools::per_element());
    rig.run();
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 100), 20));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(choices)

BOOST_AUTO_TEST_CASE(choices_share_the_prompt_and_copy_the_block_they_write_to) {
    for (const std::int32_t prompt_tokens : {40, 48}) {
        Rig rig({.max_num_batched_tokens = 128});
        Request request = Rig::request(1, prompt_tokens, 30);
        request.num_choices = 4;
        request.sampling.seed = 5;
        rig.scheduler.add(request);
        rig.step();
        BOOST_TEST(rig.scheduler.snapshot().num_running == 4);
        BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64 - 3);
        BOOST_TEST(rig.num_tokens == 4U);
        rig.step();
        BOOST_TEST(rig.batch.block_copies.size() == (prompt_tokens % 16 == 0 ? 0U : 3U));
        BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64 - 3 - (prompt_tokens % 16 == 0 ? 4 : 3));
        rig.run();
        BOOST_TEST(rig.outcomes[1].tokens == fake_reference(request.prompt, 30, {}, {.seed = 5}));
        for (std::uint32_t choice = 1; choice < 4; ++choice) {
            const auto expected = fake_reference(request.prompt, 30, {}, {.seed = 5, .choice = choice});
            BOOST_TEST((rig.other_choices[{1, choice}].tokens == expected));
        }
        BOOST_TEST(rig.scheduler.snapshot().num_free_blocks == 64);
    }
}

BOOST_AUTO_TEST_CASE(a_pool_for_one_choice_serves_all_choices_in_turn) {
    Rig rig({.num_blocks = 4, .max_model_len = 64});
    Request request = Rig::request(1, 40, 24);
    request.num_choices = 5;
    rig.scheduler.add(request);
    rig.run();
    BOOST_TEST(rig.scheduler.snapshot().num_preemptions > 0U);
    for (std::uint32_t choice = 1; choice < 5; ++choice) {
        const auto expected = fake_reference(request.prompt, 24, {}, {.choice = choice});
        BOOST_TEST((rig.other_choices[{1, choice}].tokens == expected));
    }
}

BOOST_AUTO_TEST_CASE(each_choice_reports_its_own_end) {
    Rig rig({.max_num_batched_tokens = 16});
    Request request = Rig::request(1, 40, 24);
    request.num_choices = 3;
    rig.scheduler.add(request);
    rig.step();  // computes a part of the prompt
    rig.scheduler.cancel(1);
    rig.run();
    BOOST_TEST((rig.outcomes[1].finish == FinishReason::cancelled));
    BOOST_TEST(rig.other_choices.size() == 2U);
    for (const auto& [key, outcome] : rig.other_choices) {
        BOOST_TEST((outcome.finish == FinishReason::cancelled));
    }
}

// The results still contain a row for each choice of the cancelled request.
BOOST_AUTO_TEST_CASE(choices_cancelled_in_flight_do_not_shift_the_rows_of_others) {
    Rig rig;
    Request request = Rig::request(1, 10, 5);
    request.num_choices = 3;
    rig.scheduler.add(request);
    rig.add(2, 10, 5);
    rig.step([&] { rig.scheduler.cancel(1); });
    rig.run();
    BOOST_TEST(rig.outcomes[2].tokens == fake_reference(Rig::prompt_of(2, 10), 5));
}

BOOST_AUTO_TEST_CASE(more_choices_than_can_run_together_are_refused) {
    Rig rig({.max_num_seqs = 3});
    Request too_many_logprobs = Rig::request(77, 10, 5);
    too_many_logprobs.sampling.num_logprobs = max_top_logprobs + 1;
    rig.scheduler.add(too_many_logprobs);
    rig.run();
    BOOST_TEST((rig.outcomes[77].error == errc::invalid_request));
    for (const std::uint32_t num_choices : {0U, 4U, max_choices + 1, 0xffffffffU}) {
        Request request = Rig::request(num_choices + 1ULL, 10, 5);
        request.num_choices = num_choices;
        rig.scheduler.add(request);
        rig.run();
        BOOST_TEST((rig.outcomes[request.id].error == errc::invalid_request));
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(speculation)

BOOST_AUTO_TEST_CASE(drafts_save_steps_and_change_no_token) {
    std::map<int, int> steps;
    std::map<int, std::vector<TokenId>> tokens;
    for (const int rows : {0, 16}) {
        Rig rig({.max_speculative_step_rows = rows}, repeating_model());
        for (RequestId id = 1; id <= 2; ++id) rig.add(id, 20, 120);
        rig.run();
        steps[rows] = rig.num_steps;
        tokens[rows] = rig.outcomes[2].tokens;
        BOOST_TEST(rig.outcomes[1].tokens == fake_reference(Rig::prompt_of(1, 20), 120, repeating_model()));
        const EngineSnapshot snapshot = rig.scheduler.snapshot();
        BOOST_TEST((snapshot.accepted_draft_tokens > 0) == (rows > 0));
        BOOST_TEST(snapshot.accepted_draft_tokens <= snapshot.draft_tokens);
        BOOST_TEST(snapshot.num_free_blocks == snapshot.num_blocks);
    }
    BOOST_TEST(tokens[0] == tokens[16]);
    BOOST_TEST(steps[16] * 5 < steps[0] * 3);
}

BOOST_AUTO_TEST_CASE(no_draft_is_made_if_too_many_sequences_run) {
    Rig rig({.max_num_seqs = 8, .max_speculative_step_rows = 4}, repeating_model());
    for (RequestId id = 1; id <= 4; ++id) rig.add(id, 20, 60);
    rig.run();
    BOOST_TEST(rig.scheduler.snapshot().draft_tokens == 0U);
    for (RequestId id = 11; id <= 13; ++id) rig.add(id, 20, 60);
    rig.run();
    BOOST_TEST(rig.scheduler.snapshot().draft_tokens > 0U);
}

BOOST_AUTO_TEST_CASE(a_step_with_drafts_stays_within_budget_and_rows) {
    Rig rig({.max_num_seqs = 3, .max_num_batched_tokens = 5, .max_speculative_step_rows = 100},
            repeating_model());
    rig.add(1, 20, 120);
    while (rig.scheduler.has_work()) {
        rig.step();
        BOOST_TEST(rig.batch.num_tokens() <= 5);
        BOOST_TEST(rig.batch.num_rows() <= 3);
    }
    BOOST_TEST(rig.outcomes[1].tokens == fake_reference(Rig::prompt_of(1, 20), 120, repeating_model()));
    BOOST_TEST(rig.scheduler.snapshot().accepted_draft_tokens > 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(progress)

BOOST_AUTO_TEST_CASE(each_stage_is_reported_once) {
    Rig rig({.max_num_seqs = 1, .max_num_batched_tokens = 32});
    ProgressView view(rig);
    rig.add(1, 70, 3);
    rig.add(2, 10, 3);
    rig.add(3, 10, 3);
    view.step();
    BOOST_TEST(view.events.size() == 3U);
    BOOST_TEST((view.latest[1].phase == Phase::prefill));
    BOOST_TEST(view.latest[1].done == 32);
    BOOST_TEST(view.latest[1].total == 70);
    BOOST_TEST((view.latest[3].phase == Phase::queued));
    BOOST_TEST(view.latest[2].done == 0);
    BOOST_TEST(view.latest[3].done == 1);
    view.step();
    BOOST_TEST(view.events.size() == 1U);
    BOOST_TEST(view.latest[1].done == 64);
    view.step();
    BOOST_TEST((view.latest[1].phase == Phase::decoding));
    view.step();
    BOOST_TEST(view.events.empty());
    rig.scheduler.cancel(1);
    view.step();
    BOOST_TEST((view.latest[2].phase == Phase::decoding));
    BOOST_TEST(view.latest[3].done == 0);
}

BOOST_AUTO_TEST_CASE(a_preempted_sequence_reports_its_stage_and_place) {
    Rig rig({.max_num_seqs = 2});
    ProgressView view(rig);
    rig.add(1, 10, 50, 1);
    rig.add(2, 10, 50, 1);
    view.step();
    rig.add(3, 10, 50, 2);
    view.step();
    BOOST_TEST((view.latest[2].phase == Phase::preempted));
    BOOST_TEST(view.latest[2].done == 0);
    rig.scheduler.cancel(3);
    view.step();
    BOOST_TEST((view.latest[2].phase == Phase::decoding));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
