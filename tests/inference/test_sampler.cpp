#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "inference/philox.hpp"
#include "inference/sampler.hpp"

namespace solard {
namespace {

// Softmax of logits / temperature, cut to the nucleus of top_p and normalised: a plain sort, in double.
std::vector<double> exact_distribution(const std::vector<float>& logits, double temperature, double top_p) {
    std::vector<double> p(logits.size());
    const double largest = *std::max_element(logits.begin(), logits.end());
    std::transform(logits.begin(), logits.end(), p.begin(),
                   [&](double logit) { return std::exp((logit - largest) / temperature); });
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    double kept = 0;
    for (const std::size_t token : order) {
        if (kept >= top_p * sum) {
            p[token] = 0;
        } else {
            kept += p[token];
        }
    }
    for (double& x : p) x /= kept;
    return p;
}

std::vector<float> random_logits(std::size_t vocab, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> logits(vocab);
    for (float& logit : logits) logit = static_cast<float>(random() % 8000) / 1000.0F - 4.0F;
    return logits;
}

std::vector<int> draw_many(const std::vector<float>& logits, SamplingParams params, int draws) {
    Sampler sampler(static_cast<std::int32_t>(logits.size()));
    std::vector<int> counts(logits.size());
    for (int position = 0; position < draws; ++position) {
        const SampledToken sampled = sampler.sample(logits, {.params = params, .position = position});
        BOOST_REQUIRE(sampled.finite);
        ++counts.at(static_cast<std::size_t>(sampled.token));
    }
    return counts;
}

// Pearson's statistic against its mean plus five standard deviations: with fixed seeds this passes or fails
// for good, and a correct sampler fails for about one choice of seeds in a million. Cells expected fewer than
// five times are pooled.
void check_chi_square(const std::vector<int>& counts, const std::vector<double>& p) {
    const double draws = std::accumulate(counts.begin(), counts.end(), 0.0);
    double statistic = 0;
    double pooled_expected = 0;
    double pooled_count = 0;
    int cells = 0;
    const auto add_cell = [&](double expected, double count) {
        statistic += (count - expected) * (count - expected) / expected;
        ++cells;
    };
    for (std::size_t i = 0; i < p.size(); ++i) {
        if (p[i] == 0) {
            BOOST_TEST(counts[i] == 0, "token " << i << " is outside the nucleus and was drawn");
        } else if (p[i] * draws < 5) {
            pooled_expected += p[i] * draws;
            pooled_count += counts[i];
        } else {
            add_cell(p[i] * draws, counts[i]);
        }
    }
    if (pooled_expected > 0) add_cell(pooled_expected, pooled_count);
    const double freedom = cells - 1;
    BOOST_TEST(statistic < freedom + 5 * std::sqrt(2 * freedom));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sampler)

// Known answers published with Random123 (kat_vectors).
BOOST_AUTO_TEST_CASE(philox_known_answers) {
    constexpr std::uint32_t ones = 0xffffffff;
    BOOST_TEST((philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
                PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    BOOST_TEST((philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
                PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    BOOST_TEST((philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
                PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

BOOST_AUTO_TEST_CASE(temperature_zero_takes_the_largest_and_the_smallest_id_among_equals) {
    Sampler sampler(5);
    const std::vector<float> logits{-1, 3, 2, 3, -7};
    BOOST_TEST(sampler.sample(logits, {.params = {.temperature = 0}}).token == 1);
}

BOOST_AUTO_TEST_CASE(temperature_follows_the_softmax) {
    const auto logits = random_logits(50, 1);
    for (const float temperature : {0.5F, 1.0F, 2.0F}) {
        check_chi_square(draw_many(logits, {.temperature = temperature, .seed = 7}, 100'000),
                         exact_distribution(logits, temperature, 1));
    }
}

BOOST_AUTO_TEST_CASE(top_p_follows_the_exact_nucleus) {
    const auto logits = random_logits(300, 2);
    for (const float top_p : {0.05F, 0.5F, 0.9F, 0.99F}) {
        check_chi_square(draw_many(logits, {.temperature = 1.3F, .top_p = top_p, .seed = 8}, 100'000),
                         exact_distribution(logits, 1.3F, top_p));
    }
}

BOOST_AUTO_TEST_CASE(top_p_keeps_smaller_ids_among_equals) {
    const std::vector<float> logits(8, 1.5F);
    const auto counts = draw_many(logits, {.top_p = 0.5F, .seed = 9}, 2000);
    for (std::size_t i = 0; i < 8; ++i) BOOST_TEST((counts[i] > 0) == (i < 4));
}

BOOST_AUTO_TEST_CASE(a_tiny_top_p_is_greedy) {
    const auto logits = random_logits(100, 3);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    const auto counts = draw_many(logits, {.temperature = 2, .top_p = 1e-6F, .seed = 1}, 100);
    BOOST_TEST(counts.at(static_cast<std::size_t>(best)) == 100);
}

BOOST_AUTO_TEST_CASE(a_token_depends_on_its_row_and_on_nothing_else) {
    const auto logits = random_logits(1000, 4);
    const SamplingRow row{.params = {.temperature = 1, .top_p = 0.95F, .seed = 3, .choice = 1},
                          .position = 9};
    Sampler fresh(1000);
    Sampler used(1000);
    for (int position = 0; position < 20; ++position) {
        used.sample(random_logits(1000, 5), {.params = {.top_p = 0.5F}, .position = position});
    }
    BOOST_TEST(used.sample(logits, row).token == fresh.sample(logits, row).token);
}

BOOST_AUTO_TEST_CASE(seed_choice_and_position_each_change_the_noise) {
    const std::vector<float> flat(1'000'000, 0.0F);
    Sampler sampler(1'000'000);
    const auto draw = [&](std::uint64_t seed, std::uint32_t choice, std::int32_t position) {
        return sampler.sample(flat, {.params = {.seed = seed, .choice = choice}, .position = position}).token;
    };
    const std::vector<TokenId> tokens{draw(1, 0, 5), draw(2, 0, 5), draw(1ULL << 32, 0, 5), draw(1, 1, 5),
                                      draw(1, 0, 6)};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) BOOST_TEST(tokens[i] != tokens[j]);
    }
}

BOOST_AUTO_TEST_CASE(any_value_that_is_not_finite_is_reported) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
        for (const std::size_t at : {std::size_t{0}, std::size_t{77}, std::size_t{99}}) {
            auto logits = random_logits(100, 6);
            logits[at] = bad;
            Sampler sampler(100);
            BOOST_TEST(!sampler.sample(logits, {.params = {.temperature = 0}}).finite);
            BOOST_TEST(!sampler.sample(logits, {.params = {.temperature = 1, .top_p = 0.9F}}).finite);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_widest_logits_are_finite) {
    Sampler sampler(3);
    const float largest = std::numeric_limits<float>::max();
    const std::vector<float> logits{-largest, largest, 0};
    for (const float top_p : {1.0F, 0.9F}) {
        const auto sampled = sampler.sample(logits, {.params = {.temperature = 0.01F, .top_p = top_p}});
        BOOST_TEST(sampled.finite);
        BOOST_TEST(sampled.token == 1);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
