#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include "inference/sampling/philox.hpp"
#include "inference/sampling/sampler.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/plain_sampler.hpp"
#include "tests/support/random_mask.hpp"
#include "tests/support/random_row.hpp"
#include "tests/support/same_bits.hpp"

namespace solard {
namespace {

std::vector<float> random_logits(std::size_t vocab, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> logits(vocab);
    for (float& logit : logits) logit = static_cast<float>(random() % 8000) / 1000.0F - 4.0F;
    return logits;
}

// Draws once at each position from 0 to draws - 1, and leaves the other members of `row` unchanged. Returns
// the count of each token.
std::vector<int> draw_many(const std::vector<float>& logits, SamplingRow row, int draws) {
    Sampler sampler(static_cast<std::int32_t>(logits.size()));
    std::vector<int> counts(logits.size());
    for (row.position = 0; row.position < draws; ++row.position) {
        const SampledToken sampled = sampler.sample(logits, row);
        BOOST_REQUIRE(sampled.finite);
        ++counts.at(static_cast<std::size_t>(sampled.token));
    }
    return counts;
}

// Compares Pearson's statistic with its mean plus five standard deviations. With fixed seeds the outcome
// never changes, and a correct sampler fails for about one choice of seeds in a million. Cells whose expected
// count is below five are pooled.
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
            BOOST_TEST(counts[i] == 0, "token " << i << " was drawn although it is cut off");
        } else if (p[i] * draws < 5) {
            pooled_expected += p[i] * draws;
            pooled_count += counts[i];
        } else {
            add_cell(p[i] * draws, counts[i]);
        }
    }
    if (pooled_expected > 0) add_cell(pooled_expected, pooled_count);
    const double freedom = cells - 1;
    BOOST_TEST(statistic <= freedom + 5 * std::sqrt(2 * freedom));
}

void check_draws(const std::vector<float>& logits, const SamplingRow& row) {
    check_chi_square(draw_many(logits, row, 30'000), plain::distribution(logits, row).over(logits.size()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sampler)

// Known answers published with Random123 (kat_vectors).
BOOST_AUTO_TEST_CASE(philox_returns_the_known_answers) {
    constexpr std::uint32_t ones = 0xffffffff;
    BOOST_TEST((philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
                PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    BOOST_TEST((philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
                PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    BOOST_TEST((philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
                PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

BOOST_AUTO_TEST_CASE(temperature_zero_takes_the_smallest_id_of_the_largest_logits) {
    Sampler sampler(5);
    const std::vector<float> logits{-1, 3, 2, 3, -7};
    BOOST_TEST(sampler.sample(logits, {.params = {.temperature = 0}}).token == 1);
}

BOOST_AUTO_TEST_CASE(temperature_follows_the_softmax) {
    const auto logits = random_logits(50, 1);
    for (const float temperature : {0.5F, 1.0F, 2.0F}) {
        check_draws(logits, {.params = {.temperature = temperature, .seed = 7}});
    }
}

BOOST_AUTO_TEST_CASE(top_p_follows_the_exact_nucleus) {
    const auto logits = random_logits(300, 2);
    for (const float top_p : {0.05F, 0.5F, 0.9F, 0.99F}) {
        check_draws(logits, {.params = {.temperature = 1.3F, .top_p = top_p, .seed = 8}});
    }
}

BOOST_AUTO_TEST_CASE(top_k_and_min_p_follow_the_exact_distribution) {
    const auto logits = random_logits(300, 11);
    for (const int top_k : {2, 7, 100, 299, 300, 10'000}) {
        check_draws(logits, {.params = {.temperature = 1.5F, .top_k = top_k, .seed = 4}});
    }
    for (const float min_p : {0.01F, 0.3F, 0.9F, 1.0F}) {
        check_draws(logits, {.params = {.temperature = 1.5F, .min_p = min_p, .seed = 5}});
    }
}

BOOST_AUTO_TEST_CASE(all_steps_together_follow_the_exact_distribution) {
    const auto logits = random_logits(60, 12);
    const std::vector<TokenId> context{1, 2, 3, 4, 4, 5, 6, 5, 5};
    const std::vector<LogitBias> biases{{7, 2.5F}, {3, -1}};
    const std::vector<TokenId> banned{8, 9};
    SamplingRow row{.params = {.temperature = 0.9F,
                               .top_p = 0.95F,
                               .min_p = 0.02F,
                               .top_k = 40,
                               .repetition_penalty = 1.2F,
                               .frequency_penalty = 0.7F,
                               .presence_penalty = -0.4F,
                               .seed = 6},
                    .context = context,
                    .num_prompt_tokens = 4,
                    .logit_bias = biases,
                    .banned = banned};
    check_draws(logits, row);
    row.params.top_k = 0;
    check_draws(logits, row);
    row.params.min_p = 0;
    row.params.top_p = 1;
    check_draws(logits, row);
}

// Both samplers must draw the same tokens. So this also tests that no token is drawn which top_k, top_p,
// min_p or a ban excludes.
BOOST_AUTO_TEST_CASE(every_row_gets_the_token_of_the_plain_sampler) {
    std::mt19937 random(21);
    for (int i = 0; i < 10'000; ++i) {
        const RandomRow made(random);
        Sampler sampler(static_cast<std::int32_t>(made.logits.size()));
        SamplingRow row = made.row;
        for (int draw = 0; draw < 3; ++draw, ++row.position) {
            const SampledToken sampled = sampler.sample(made.logits, row);
            BOOST_REQUIRE(sampled.finite);
            BOOST_REQUIRE_MESSAGE(sampled.token == plain::choose(made.logits, row), "row " << i);
        }
    }
}

BOOST_AUTO_TEST_CASE(cuts_keep_the_smaller_ids_of_equal_logits) {
    const std::vector<float> logits(8, 1.5F);
    for (const SamplingParams& params :
         {SamplingParams{.top_p = 0.5F}, {.top_k = 4}, {.top_p = 0.7F, .top_k = 5}}) {
        const auto counts = draw_many(logits, {.params = params}, 2000);
        for (std::size_t i = 0; i < 8; ++i) BOOST_TEST((counts[i] > 0) == (i < 4));
    }
}

BOOST_AUTO_TEST_CASE(top_k_of_one_is_greedy) {
    std::vector<float> logits = random_logits(1000, 13);
    logits[400] = logits[700] = 50;
    BOOST_TEST(draw_many(logits, {.params = {.temperature = 2, .top_k = 1}}, 100)[400] == 100);
}

BOOST_AUTO_TEST_CASE(small_temperature_does_not_overflow) {
    const auto logits = random_logits(1000, 14);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    for (const float temperature : {1e-6F, 1e-30F, std::numeric_limits<float>::denorm_min()}) {
        for (const SamplingParams& params :
             {SamplingParams{}, {.top_p = 0.9F}, {.min_p = 0.1F}, {.top_k = 9}}) {
            SamplingRow row{.params = params};
            row.params.temperature = temperature;
            BOOST_TEST(draw_many(logits, row, 50)[static_cast<std::size_t>(best)] == 50);
        }
    }
}

BOOST_AUTO_TEST_CASE(penalties_distinguish_prompt_and_answer) {
    const std::vector<float> logits{5, 4, 3, 2};
    const std::vector<TokenId> context{0, 0, 1, 1};
    const auto greedy = [&](SamplingParams params, std::int32_t num_prompt_tokens) {
        params.temperature = 0;
        return Sampler(4)
            .sample(logits, {.params = params, .context = context, .num_prompt_tokens = num_prompt_tokens})
            .token;
    };
    BOOST_TEST(greedy({}, 2) == 0);
    // The comments at the ends of the lines show the logits after the penalty.
    BOOST_TEST(greedy({.repetition_penalty = 2}, 2) == 2);     // 2.5 2 3 2
    BOOST_TEST(greedy({.presence_penalty = 1.5F}, 2) == 0);    // 5 2.5 3 2
    BOOST_TEST(greedy({.presence_penalty = 1.5F}, 0) == 0);    // 3.5 2.5 3 2
    BOOST_TEST(greedy({.frequency_penalty = 1.25F}, 0) == 2);  // 2.5 1.5 3 2
    BOOST_TEST(greedy({.frequency_penalty = -2}, 2) == 1);     // 5 8 3 2
    BOOST_TEST(greedy({.presence_penalty = 2}, 4) == 0);
    BOOST_TEST(greedy({.presence_penalty = 2}, 99) == 0);  // 99 prompt tokens, but a shorter context
}

BOOST_AUTO_TEST_CASE(penalty_is_clamped_to_the_finite_floats) {
    const std::vector<float> logits{-3e38F, 3e38F, 3.1e38F, -3e38F};
    const std::vector<TokenId> context{0, 1, 2, 3};
    for (const SamplingParams& params : {SamplingParams{}, {.top_p = 0.9F}, {.top_k = 3}, {.min_p = 0.5F}}) {
        SamplingRow row{.params = params, .context = context, .num_prompt_tokens = 2};
        row.params.repetition_penalty = 1e-6F;
        const auto counts = draw_many(logits, row, 200);
        BOOST_TEST(counts[1] + counts[2] == 200);
        BOOST_TEST(counts[1] > 50);
        BOOST_TEST(counts[2] > 50);
        row.params.repetition_penalty = 2;
        BOOST_TEST(draw_many(logits, row, 200)[2] == 200);
    }
}

// e^-0.6931472 is just below one half. For the next larger float, the result is just above one half.
BOOST_AUTO_TEST_CASE(min_p_is_exact_to_the_float) {
    const float below = -0.6931472F;
    for (const int top_k : {0, 2}) {
        const SamplingRow row{.params = {.min_p = 0.5F, .top_k = top_k}};
        BOOST_TEST(draw_many({0, below, -9}, row, 200)[0] == 200);
        BOOST_TEST(draw_many({0, std::nextafter(below, 0.0F), -9}, row, 200)[1] > 0);
    }
}

// At position 137592, tokens 12856 and 15400 get the same random word, and no token gets a larger word. The
// position was found by search.
BOOST_AUTO_TEST_CASE(smaller_id_wins_if_scores_are_equal) {
    std::vector<float> logits(16'000);
    std::mt19937 random(20);
    for (float& logit : logits) logit = -static_cast<float>(random() % 1000) / 1000;
    logits[12'856] = logits[15'400] = 0;
    logits[0] = 0.001F;
    const auto draw = [&](const SamplingParams& params) {
        return Sampler(16'000).sample(logits, {.params = params, .position = 137'592}).token;
    };
    BOOST_TEST(draw({}) == 12'856);
    // The tokens that remain after top_k or top_p may be in any order.
    for (std::int32_t top_k = 1000; top_k < 16'000; top_k += 1000)
        BOOST_TEST(draw({.top_k = top_k}) == 12'856);
    for (const float top_p : {0.3F, 0.5F, 0.9F, 0.99F}) BOOST_TEST(draw({.top_p = top_p}) == 12'856);
}

BOOST_AUTO_TEST_CASE(bias_of_a_hundred_forces_or_excludes_a_token) {
    const auto logits = random_logits(500, 15);
    const auto best = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    const std::vector<LogitBias> only{{123, 100}};
    const std::vector<LogitBias> never{{best, -100}};
    for (const float temperature : {0.0F, 1.0F}) {
        BOOST_TEST(
            draw_many(logits, {.params = {.temperature = temperature}, .logit_bias = only}, 200)[123] == 200);
        const auto counts =
            draw_many(logits, {.params = {.temperature = temperature}, .logit_bias = never}, 2000);
        BOOST_TEST(counts[static_cast<std::size_t>(best)] == 0);
    }
}

BOOST_AUTO_TEST_CASE(banned_tokens_are_never_drawn_whatever_their_bias) {
    const auto logits = random_logits(40, 16);
    const std::vector<LogitBias> biases{{3, 100}, {4, 100}, {5, 90}};
    std::vector<TokenId> banned{3, 4, 3, -1, 40};
    for (const SamplingParams& params :
         {SamplingParams{.temperature = 0}, {}, {.top_p = 0.99F}, {.top_k = 39}}) {
        const auto counts =
            draw_many(logits, {.params = params, .logit_bias = biases, .banned = banned}, 500);
        BOOST_TEST(counts[5] == 500);
    }
    const std::vector<float> flat(40, 1.0F);
    banned.resize(39);
    std::iota(banned.begin(), banned.end(), 1);
    for (const SamplingParams& params :
         {SamplingParams{}, {.top_p = 0.99F}, {.top_k = 20}, {.min_p = 0.5F}}) {
        BOOST_TEST(draw_many(flat, {.params = params, .banned = banned}, 500)[0] == 500);
    }
}

BOOST_AUTO_TEST_CASE(bans_are_ignored_if_they_cover_the_vocabulary) {
    const auto logits = random_logits(20, 17);
    std::vector<TokenId> banned(20);
    std::iota(banned.begin(), banned.end(), 0);
    for (const float temperature : {0.0F, 1.0F}) {
        const SamplingParams params{.temperature = temperature, .top_k = 15};
        BOOST_TEST(draw_many(logits, {.params = params, .banned = banned}, 500) ==
                       draw_many(logits, {.params = params}, 500),
                   boost::test_tools::per_element());
    }
}

// Bans have tests of their own. With a mask, the outcome must be that of bans of all other tokens.
BOOST_AUTO_TEST_CASE(mask_excludes_tokens_as_bans_do) {
    std::mt19937 random(23);
    for (const std::size_t vocab : {1U, 31U, 32U, 33U, 257U}) {
        Sampler sampler(static_cast<std::int32_t>(vocab));
        for (int i = 0; i < 200; ++i) {
            const RandomRow made(random, vocab);
            const RandomMask mask(random, vocab);
            SamplingRow row = made.row;
            row.params.num_logprobs = i % 3 - 1;
            std::vector<TokenId> banned = mask.excluded;
            banned.insert(banned.end(), row.banned.begin(), row.banned.end());
            const auto may_be_chosen = [&](TokenId token) {
                return std::ranges::find(banned, token) == banned.end();
            };
            const bool leaves_none = std::ranges::none_of(
                std::views::iota(TokenId{0}, static_cast<TokenId>(vocab)), may_be_chosen);
            SamplingRow with_bans = row;
            with_bans.banned = leaves_none ? mask.excluded : banned;
            std::vector<TokenLogprob> top(max_top_logprobs);
            const SampledToken found = sampler.sample(made.logits, row, top, mask.words);
            const SampledToken expected = sampler.sample(made.logits, with_bans);
            BOOST_REQUIRE_EQUAL(found.token, expected.token);
            BOOST_REQUIRE(is_allowed(mask.words, found.token));
            BOOST_REQUIRE_EQUAL(found.logprob, expected.logprob);
        }
    }
}

BOOST_AUTO_TEST_CASE(mask_is_applied_before_top_k_top_p_and_min_p) {
    // The excluded tokens are far likelier than the others, so that each cut would leave only them.
    std::vector<float> logits(64, 20.0F);
    for (std::size_t token = 32; token < 64; ++token) logits[token] = 1.0F;
    const std::vector<std::uint32_t> mask{0, ~std::uint32_t{0}};
    for (const SamplingParams& params :
         {SamplingParams{.temperature = 1, .top_k = 32}, SamplingParams{.temperature = 1, .top_p = 0.9F},
          SamplingParams{.temperature = 1, .min_p = 0.5F}}) {
        Sampler sampler(64);
        std::set<TokenId> drawn;
        for (std::int32_t position = 0; position < 500; ++position)
            drawn.insert(sampler.sample(logits, {.params = params, .position = position}, {}, mask).token);
        BOOST_TEST(*drawn.begin() >= 32);
        BOOST_TEST(drawn.size() > 25U);
    }
}

BOOST_AUTO_TEST_CASE(logprobs_are_those_of_the_unchanged_logits) {
    const auto logits = random_logits(1000, 18);
    const auto expected = plain::log_softmax(logits);
    const auto order = plain::ranked(logits, {});
    const std::vector<TokenId> banned{order[0], order[1]};
    const std::vector<LogitBias> biases{{order[2], 5}};
    Sampler sampler(1000);
    for (const int wanted : {0, 1, 5, 20}) {
        std::vector<TokenLogprob> top(max_top_logprobs);
        const SampledToken sampled =
            sampler.sample(logits,
                           {.params = {.temperature = 0.5F, .top_p = 0.5F, .num_logprobs = wanted},
                            .logit_bias = biases,
                            .banned = banned},
                           top);
        BOOST_TEST(sampled.logprob == expected[static_cast<std::size_t>(sampled.token)],
                   boost::test_tools::tolerance(1e-6));
        for (std::size_t i = 0; i < top.size(); ++i) {
            if (i >= static_cast<std::size_t>(wanted)) {
                BOOST_TEST(top[i].token == -1);
                continue;
            }
            BOOST_TEST(top[i].token == order[i]);
            BOOST_TEST(top[i].logprob == expected[static_cast<std::size_t>(order[i])],
                       boost::test_tools::tolerance(1e-6));
        }
    }
}

BOOST_AUTO_TEST_CASE(logprobs_of_a_whole_vocabulary_sum_to_one) {
    for (const float level : {-1e5F, 0.0F, 1e5F}) {
        auto logits = random_logits(11, 19);
        for (float& logit : logits) logit += level;
        std::vector<TokenLogprob> top(max_top_logprobs);
        Sampler(11).sample(logits, {.params = {.num_logprobs = 20}}, top);
        double sum = 0;
        for (std::size_t i = 0; i < 11; ++i) sum += std::exp(top[i].logprob);
        BOOST_TEST(sum == 1, boost::test_tools::tolerance(1e-6));
        BOOST_TEST(top[11].token == -1);
    }
}

BOOST_AUTO_TEST_CASE(logprob_of_the_chosen_token_needs_no_room_for_the_top) {
    const std::vector<float> logits{0, 0, -std::numeric_limits<float>::max()};
    BOOST_TEST(Sampler(3).sample(logits, {.params = {.temperature = 0, .num_logprobs = 5}}).logprob ==
                   -std::numbers::ln2_v<float>,
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(Sampler(3).sample(logits, {.params = {.temperature = 0}}).logprob == 0);
}

BOOST_AUTO_TEST_CASE(equal_logprobs_are_ordered_by_id_and_extreme_ones_are_finite) {
    const float widest = std::numeric_limits<float>::max();
    const std::vector<float> logits{-widest, 0.0F, widest, -0.0F};
    std::vector<TokenLogprob> top(max_top_logprobs);
    Sampler(4).sample(logits, {.params = {.num_logprobs = 4}}, top);
    const TokenId order[] = {2, 1, 3, 0};
    for (std::size_t i = 0; i < 4; ++i) {
        BOOST_TEST(top[i].token == order[i]);
        BOOST_TEST(std::isfinite(top[i].logprob));
    }
}

BOOST_AUTO_TEST_CASE(score_has_the_bits_of_a_sampled_token_and_the_rank_of_the_plain_sampler) {
    std::mt19937 random(24);
    for (int i = 0; i < 500; ++i) {
        const RandomRow made(random);
        Sampler sampler(static_cast<std::int32_t>(made.logits.size()));
        const auto order = plain::ranked(made.logits, {});
        const auto place = random() % order.size();
        const auto wanted = static_cast<std::int32_t>(random() % 21);
        const LogitBias bias{order[place], 1000};
        std::vector<TokenLogprob> top(max_top_logprobs);
        const SampledToken drawn = sampler.sample(
            made.logits,
            {.params = {.temperature = 0, .num_logprobs = wanted}, .logit_bias = std::span(&bias, 1)}, top);
        BOOST_REQUIRE(drawn.token == order[place]);
        std::vector<RankedLogprob> scores(static_cast<std::size_t>(1 + wanted));
        sampler.score(made.logits, order[place], scores);
        BOOST_TEST(same_bits(scores[0], {order[place], drawn.logprob, static_cast<std::int32_t>(place) + 1}));
        for (std::int32_t j = 0; j < wanted; ++j) {
            const auto& [token, logprob] = top[static_cast<std::size_t>(j)];
            BOOST_TEST(
                same_bits(scores[static_cast<std::size_t>(1 + j)], {token, logprob, token < 0 ? 0 : j + 1}));
        }
    }
}

BOOST_AUTO_TEST_CASE(score_of_a_row_that_is_not_finite_has_rank_zero) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
        auto logits = random_logits(100, 25);
        logits[70] = bad;
        std::vector<RankedLogprob> scores(4, {5, 1, 1});
        Sampler(100).score(logits, 3, scores);
        BOOST_TEST(scores[0].token == 3);
        for (const RankedLogprob& score : scores) BOOST_TEST(score.rank == 0);
    }
}

BOOST_AUTO_TEST_CASE(row_does_not_influence_the_next_row) {
    std::mt19937 random(22);
    std::vector<RandomRow> rows;
    while (rows.size() < 300) {
        RandomRow made(random);
        if (made.logits.size() == 257) rows.push_back(std::move(made));
    }
    Sampler used(257);
    for (const RandomRow& made : rows) {
        std::vector<TokenLogprob> top(max_top_logprobs);
        SamplingRow row = made.row;
        row.params.num_logprobs = 20;
        BOOST_TEST(used.sample(made.logits, row, top).token == Sampler(257).sample(made.logits, row).token);
    }
}

BOOST_AUTO_TEST_CASE(sampling_allocates_nothing) {
    std::mt19937 random(23);
    std::vector<TokenLogprob> top(max_top_logprobs);
    std::vector<RankedLogprob> scores(1 + max_top_logprobs);
    for (int i = 0; i < 500; ++i) {
        RandomRow made(random);
        made.row.params.num_logprobs = 20;
        Sampler sampler(static_cast<std::int32_t>(made.logits.size()));
        const std::uint64_t before = num_allocations();
        sampler.sample(made.logits, made.row, top);
        sampler.score(made.logits, 0, scores);
        BOOST_TEST(num_allocations() == before);
    }
}

BOOST_AUTO_TEST_CASE(tiny_top_p_is_greedy) {
    const auto logits = random_logits(100, 3);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    const auto counts = draw_many(logits, {.params = {.temperature = 2, .top_p = 1e-6F, .seed = 1}}, 100);
    BOOST_TEST(counts.at(static_cast<std::size_t>(best)) == 100);
}

BOOST_AUTO_TEST_CASE(token_depends_only_on_its_row) {
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

BOOST_AUTO_TEST_CASE(logit_that_is_not_finite_is_reported) {
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

BOOST_AUTO_TEST_CASE(largest_and_smallest_floats_are_accepted_as_logits) {
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
