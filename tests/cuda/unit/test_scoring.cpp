// Compares the device's scores of prompt tokens with those of the reference sampler.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "cuda/device_scorer.hpp"
#include "inference/sampling/sampler.hpp"
#include "tests/cuda/unit/device_arrays.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/random_row.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

// Scores the rows on the device in slices of `slice` rows. There are gaps between the rows of logits.
std::vector<RankedLogprob> score_on_device(const std::vector<std::vector<float>>& logits,
                                           const std::vector<ScoredToken>& tokens, std::size_t slice) {
    const std::size_t vocab = logits.front().size();
    const std::size_t stride = vocab + 3;
    const Stream stream;
    DeviceScorer scorer(static_cast<std::int32_t>(vocab), static_cast<std::int32_t>(tokens.size()));
    Staging staging(scorer.staging_bytes());
    scorer.prepare(tokens, staging);
    staging.upload(stream);
    for (std::size_t first = 0; first < tokens.size(); first += slice) {
        const std::size_t count = std::min(slice, tokens.size() - first);
        std::vector<float> all(count * stride, std::numeric_limits<float>::quiet_NaN());
        for (std::size_t i = 0; i < count; ++i) {
            std::ranges::copy(logits[first + i], all.begin() + static_cast<std::ptrdiff_t>(i * stride));
        }
        const auto device_logits = on_device(all);
        scorer.run(static_cast<std::int32_t>(first), static_cast<std::int32_t>(count), device_logits.data(),
                   static_cast<std::int64_t>(stride), stream);
        stream.synchronize();
    }
    scorer.copy_back(stream);
    stream.synchronize();
    StepResults results;
    scorer.read(results);
    return results.scores;
}

BOOST_AUTO_TEST_SUITE(device_scorer)

BOOST_DATA_TEST_CASE(any_row_gets_the_scores_of_the_reference_sampler,
                     data::make({1, 2, 3, 17, 64, 257, 2048, 32000}), vocab) {
    std::mt19937 random(static_cast<unsigned>(vocab));
    const auto size = static_cast<std::size_t>(vocab);
#ifdef SOLARD_CUDA_RACE_CHECK
    constexpr std::size_t count = 6;  // few, because the race build checks every access
#else
    constexpr std::size_t count = 24;
#endif
    std::vector<std::vector<float>> logits;
    std::vector<ScoredToken> tokens;
    std::int32_t num_scores = 0;
    for (std::size_t i = 0; i < count; ++i) {
        logits.push_back(RandomRow(random, size).logits);  // some rows have many equal logits
        tokens.push_back({.row = static_cast<std::int32_t>(i),
                          .token = static_cast<TokenId>(random() % size),
                          .num_alternatives = static_cast<std::int32_t>(random() % 21),
                          .first_score = num_scores});
        num_scores += 1 + tokens.back().num_alternatives;
    }
    const auto found = score_on_device(logits, tokens, 5);
    BOOST_REQUIRE(found.size() == static_cast<std::size_t>(num_scores));
    Sampler reference(vocab);
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<RankedLogprob> expected(static_cast<std::size_t>(1 + tokens[i].num_alternatives));
        reference.score(logits[i], tokens[i].token, expected);
        for (std::size_t j = 0; j < expected.size(); ++j) {
            const RankedLogprob& score = found[static_cast<std::size_t>(tokens[i].first_score) + j];
            BOOST_TEST(score.token == expected[j].token);
            BOOST_TEST(score.rank == expected[j].rank);
            BOOST_REQUIRE_SMALL(score.logprob - expected[j].logprob,
                                1e-5F * (1 + std::abs(expected[j].logprob)));
        }
    }
}

BOOST_AUTO_TEST_CASE(rows_with_nan_or_infinity_have_rank_zero) {
    std::vector<std::vector<float>> logits(4, std::vector<float>(257, 1.0F));
    logits[0][256] = std::numeric_limits<float>::quiet_NaN();
    logits[1][0] = std::numeric_limits<float>::infinity();
    logits[3][100] = -std::numeric_limits<float>::infinity();
    std::vector<ScoredToken> tokens;
    for (std::int32_t i = 0; i < 4; ++i) {
        tokens.push_back({.row = i, .token = 9, .num_alternatives = 2, .first_score = 3 * i});
    }
    const auto scores = score_on_device(logits, tokens, 4);
    for (std::size_t i = 0; i < 4; ++i) {
        BOOST_TEST(scores[3 * i].token == 9);
        BOOST_TEST(scores[3 * i].rank == (i == 2 ? 10 : 0));
        BOOST_TEST(scores[3 * i + 1].token == (i == 2 ? 0 : -1));
        BOOST_TEST(scores[3 * i + 2].rank == (i == 2 ? 2 : 0));
    }
}

BOOST_AUTO_TEST_CASE(host_side_allocates_nothing_even_in_the_largest_step_so_far) {
    const Stream stream;
    DeviceScorer scorer(257, 4);
    Staging staging(scorer.staging_bytes());
    StepResults results;
    std::vector<ScoredToken> tokens = {{.row = 0, .token = 2}};
    scorer.prepare(tokens, staging);
    scorer.copy_back(stream);
    stream.synchronize();
    scorer.read(results);
    tokens.clear();
    for (std::int32_t i = 0; i < 4; ++i) {
        tokens.push_back({.row = i, .num_alternatives = 20, .first_score = 21 * i});
    }
    // copy_back() is not counted, because the emulated device itself allocates.
    const std::uint64_t before = num_allocations();
    staging.clear();
    scorer.prepare(tokens, staging);
    scorer.read(results);
    BOOST_TEST(num_allocations() == before);
    BOOST_TEST(results.scores.size() == 84);
}

BOOST_AUTO_TEST_CASE(step_without_scored_tokens_has_no_scores) {
    const Stream stream;
    DeviceScorer scorer(257, 4);
    Staging staging(scorer.staging_bytes());
    const std::vector<ScoredToken> tokens = {{.row = 1, .token = 2, .num_alternatives = 3}};
    scorer.prepare(tokens, staging);
    staging.clear();
    scorer.prepare({}, staging);
    scorer.copy_back(stream);
    StepResults results;
    results.scores.resize(3);
    scorer.read(results);
    BOOST_TEST(results.scores.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
