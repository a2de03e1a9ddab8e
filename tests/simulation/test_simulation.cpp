#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

#include "tests/simulation/simulation.hpp"

namespace solard {

namespace {

// With a sanitizer, a seed takes twenty times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // defined by g++
constexpr std::uint64_t default_count = 1000;
#else
constexpr std::uint64_t default_count = 10'000;
#endif

}  // namespace

BOOST_AUTO_TEST_SUITE(simulation)

// Runs the seeds 1 to default_count. With the arguments `-- FIRST COUNT`, runs COUNT seeds from FIRST on.
BOOST_AUTO_TEST_CASE(every_seed_keeps_all_invariants) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    const std::uint64_t first = suite.argc > 2 ? std::stoull(suite.argv[1]) : 1;
    const std::uint64_t count = suite.argc > 2 ? std::stoull(suite.argv[2]) : default_count;
    SimulationResult sum;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        try {
            const SimulationResult result = simulate(seed);
            sum.steps += result.steps;
            sum.requests += result.requests;
            sum.preemptions += result.preemptions;
            sum.cached_tokens += result.cached_tokens;
            sum.accepted_drafts += result.accepted_drafts;
            sum.forks += result.forks;
            sum.prompt_logprobs += result.prompt_logprobs;
            sum.preempted_while_scored += result.preempted_while_scored;
        } catch (const std::exception& e) {
            BOOST_ERROR(e.what() << "; replay: test_simulation --run_test=simulation/every_seed* -- " << seed
                                 << " 1");
        }
    }
    std::cout << count << " seeds: " << sum.steps << " steps, " << sum.requests << " requests, " << sum.forks
              << " forks, " << sum.preemptions << " preemptions, " << sum.cached_tokens << " cached tokens, "
              << sum.accepted_drafts << " accepted drafts, " << sum.prompt_logprobs
              << " log-probabilities of prompts, " << sum.preempted_while_scored
              << " preemptions between them\n";
    if (count < 1000) return;
    // Checks that preemptions, cached tokens, accepted drafts, forks and scored prompts were frequent.
    // Otherwise, the invariants would hold for trivial reasons.
    BOOST_TEST(sum.preemptions > count);
    BOOST_TEST(sum.cached_tokens > 4 * count);
    BOOST_TEST(sum.accepted_drafts > count);
    BOOST_TEST(sum.forks > count);
    BOOST_TEST(sum.prompt_logprobs > 100 * count);
    BOOST_TEST(sum.preempted_while_scored > count / 100);
}

BOOST_AUTO_TEST_CASE(every_principal_gets_a_fair_share) {
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        try {
            simulate_fairness(seed);
        } catch (const std::exception& e) {
            BOOST_ERROR(e.what() << "; seed " << seed);
        }
    }
    BOOST_TEST_CHECK(true);
}

BOOST_AUTO_TEST_CASE(a_seed_replays_exactly) {
    for (const std::uint64_t seed : {3, 14, 159}) {
        BOOST_TEST(simulate(seed).history == simulate(seed).history);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
