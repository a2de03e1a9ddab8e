// Compares the device's sampler with the reference sampler: every row must have the same token.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>

#include "cuda/device_sampler.hpp"
#include "inference/sampling/sampler.hpp"
#include "tests/cuda/unit/device_arrays.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/random_mask.hpp"
#include "tests/support/random_row.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

constexpr std::int32_t max_model_len = 512;

// A DeviceSampler with its staging and stream. There are gaps between the rows of logits.
class Rig {
  public:
    Rig(std::size_t vocab, std::int32_t max_rows)
        : stride_(vocab + 3),
          sampler_(static_cast<std::int32_t>(vocab), max_rows, max_model_len, stream_),
          staging_(sampler_.staging_bytes()),
          logits_(static_cast<std::size_t>(max_rows) * stride_) {}

    // Samples one step. `logits` holds one row of logits for each entry of `rows`.
    const StepResults& sample(const std::vector<std::vector<float>>& logits,
                              const std::vector<SamplingRow>& rows) {
        std::vector<float> all(logits_.size(), std::numeric_limits<float>::quiet_NaN());
        for (std::size_t i = 0; i < logits.size(); ++i) {
            std::ranges::copy(logits[i], all.begin() + static_cast<std::ptrdiff_t>(i * stride_));
        }
        check(cudaMemcpyAsync(logits_.data(), all.data(), logits_.size_bytes(), cudaMemcpyHostToDevice,
                              stream_.get()));
        stream_.synchronize();
        return sample(rows);
    }
    // Samples again with the logits of the last step.
    const StepResults& sample(const std::vector<SamplingRow>& rows,
                              const std::vector<std::uint32_t>& masks = {}) {
        staging_.clear();
        sampler_.prepare(rows, staging_);
        staging_.upload(stream_);
        if (!masks.empty()) sampler_.copy_masks(masks, stream_);
        sampler_.run(logits_.data(), static_cast<std::int64_t>(stride_), stream_);
        sampler_.copy_back(stream_);
        stream_.synchronize();
        sampler_.read(results_);
        return results_;
    }
    const DeviceSampler& sampler() const { return sampler_; }

  private:
    std::size_t stride_;
    Stream stream_;
    DeviceSampler sampler_;
    Staging staging_;
    DeviceBuffer<float> logits_;
    StepResults results_;
};

// One step of random rows, each of a different sequence.
struct RandomStep {
    std::vector<RandomRow> made;
    std::vector<std::vector<float>> logits;
    std::vector<SamplingRow> rows;

    RandomStep(std::mt19937& random, std::size_t vocab, std::size_t count) {
        static std::uint64_t sequence = 0;
        made.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            made.emplace_back(random, vocab);
            logits.push_back(made.back().logits);
            rows.push_back(made.back().row);
            rows.back().sequence = ++sequence;
            rows.back().params.num_logprobs = static_cast<std::int32_t>(random() % 23) - 1;
            rows.back().params.num_logprobs = std::min(rows.back().params.num_logprobs, max_top_logprobs);
        }
    }
};

void check_logprobs(const SamplingRow& row, const SampledToken& sampled, const TokenLogprob* top,
                    const SampledToken& expected, const std::vector<TokenLogprob>& expected_top,
                    std::size_t vocab) {
    if (row.params.num_logprobs < 0) return;
    BOOST_REQUIRE_SMALL(sampled.logprob - expected.logprob, 1e-5F * (1 + std::abs(expected.logprob)));
    const std::size_t count = std::min(static_cast<std::size_t>(row.params.num_logprobs), vocab);
    for (std::size_t i = 0; i < count; ++i) {
        BOOST_REQUIRE_EQUAL(top[i].token, expected_top[i].token);
        BOOST_REQUIRE_SMALL(top[i].logprob - expected_top[i].logprob, 1e-5F * (1 + std::abs(top[i].logprob)));
    }
}

void check_step(Rig& rig, const RandomStep& step, std::size_t vocab) {
    Sampler reference(static_cast<std::int32_t>(vocab));
    const StepResults& results = rig.sample(step.logits, step.rows);
    BOOST_REQUIRE_EQUAL(results.rows.size(), step.rows.size());
    const std::vector<std::int32_t> on_the_device = [&] {
        std::vector<std::int32_t> tokens(step.rows.size());
        check(cudaMemcpy(tokens.data(), rig.sampler().tokens(), tokens.size() * sizeof(std::int32_t),
                         cudaMemcpyDeviceToHost));
        return tokens;
    }();
    for (std::size_t i = 0; i < step.rows.size(); ++i) {
        std::vector<TokenLogprob> top(static_cast<std::size_t>(max_top_logprobs));
        const SampledToken expected = reference.sample(step.logits[i], step.rows[i], top);
        BOOST_REQUIRE_MESSAGE(
            results.rows[i].token == expected.token,
            "row " << i << ": " << results.rows[i].token << ", expected " << expected.token);
        BOOST_REQUIRE(results.rows[i].finite);
        BOOST_REQUIRE_EQUAL(on_the_device[i], expected.token);
        check_logprobs(step.rows[i], results.rows[i],
                       results.top_logprobs.data() + i * static_cast<std::size_t>(max_top_logprobs), expected,
                       top, vocab);
    }
}

// Half of the rows have a mask.
void check_masked_step(Rig& rig, std::mt19937& random, std::size_t vocab, std::size_t count) {
    RandomStep step(random, vocab, count);
    std::vector<std::uint32_t> masks;
    std::vector<RandomMask> of_rows;
    std::int32_t num_masks = 0;
    for (SamplingRow& row : step.rows) {
        of_rows.emplace_back(random, vocab);
        if (random() % 2 == 0) continue;
        row.mask = num_masks++;
        masks.insert(masks.end(), of_rows.back().words.begin(), of_rows.back().words.end());
    }
    rig.sample(step.logits, std::vector<SamplingRow>(count));
    const StepResults& results = rig.sample(step.rows, masks);
    Sampler reference(static_cast<std::int32_t>(vocab));
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_masked = step.rows[i].mask >= 0;
        std::vector<TokenLogprob> top(static_cast<std::size_t>(max_top_logprobs));
        const SampledToken expected = reference.sample(
            step.logits[i], step.rows[i], top,
            is_masked ? std::span<const std::uint32_t>(of_rows[i].words) : std::span<const std::uint32_t>());
        BOOST_REQUIRE_EQUAL(results.rows[i].token, expected.token);
        check_logprobs(step.rows[i], results.rows[i],
                       results.top_logprobs.data() + i * static_cast<std::size_t>(max_top_logprobs), expected,
                       top, vocab);
    }
}

std::vector<float> normal_logits(std::size_t vocab, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal(0, 2.5F);
    std::vector<float> logits(vocab);
    for (float& logit : logits) logit = normal(random);
    return logits;
}

BOOST_AUTO_TEST_SUITE(device_sampler)

BOOST_DATA_TEST_CASE(rows_with_masks_get_the_token_of_the_reference_sampler,
                     data::make({1, 31, 32, 33, 257, 2048}), vocab) {
    std::mt19937 random(static_cast<unsigned>(vocab));
    Rig rig(static_cast<std::size_t>(vocab), 8);
    for (int step = 0; step < 6; ++step) check_masked_step(rig, random, static_cast<std::size_t>(vocab), 8);
}

BOOST_DATA_TEST_CASE(any_row_gets_the_token_of_the_reference_sampler,
                     data::make({1, 2, 3, 17, 64, 65, 257, 700, 2048}), vocab) {
    std::mt19937 random(static_cast<unsigned>(vocab));
    const auto size = static_cast<std::size_t>(vocab);
    Rig rig(size, 48);
#ifdef SOLARD_CUDA_RACE_CHECK
    constexpr int num_steps = 2;  // few, because the race build checks every access
#else
    constexpr int num_steps = 8;
#endif
    for (int i = 0; i < num_steps; ++i) check_step(rig, RandomStep(random, size, 48), size);
}

BOOST_DATA_TEST_CASE(large_vocabularies_get_the_tokens_of_the_reference_sampler, data::make({32000, 33000}),
                     vocab) {
    std::mt19937 random(5);
    const auto size = static_cast<std::size_t>(vocab);
    Rig rig(size, 16);
    check_step(rig, RandomStep(random, size, 16), size);
    // These logits are distributed like those of a model, and the parameters are like those that clients
    // send.
    RandomStep step(random, size, 16);
    for (std::size_t i = 0; i < 16; ++i) {
        step.logits[i] = normal_logits(size, i);
        step.rows[i].params.temperature = 0.7F;
        step.rows[i].params.top_p = i % 2 == 0 ? 0.95F : 1;
        step.rows[i].params.top_k = i % 3 == 0 ? 50 : 0;
        step.rows[i].params.min_p = i % 4 == 0 ? 0.05F : 0;
    }
    check_step(rig, step, size);
}

// The threshold of min_p lies between two floats. The float below the threshold is excluded, however close it
// is.
BOOST_AUTO_TEST_CASE(min_p_excludes_a_logit_just_below_its_bar) {
    std::vector<std::vector<float>> logits;
    std::vector<SamplingRow> rows;
    for (float temperature = 0.3F; rows.size() < 64; temperature += 0.01F) {
        const double bar = static_cast<double>(temperature) * std::log(static_cast<double>(0.5F));
        const auto nearest = static_cast<float>(bar);
        if (nearest >= bar) continue;
        logits.push_back({0, nearest});
        rows.push_back({.params = {.temperature = temperature, .min_p = 0.5F, .seed = rows.size()}});
    }
    Rig rig(2, 64);
    Sampler reference(2);
    const StepResults& results = rig.sample(logits, rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        BOOST_TEST(results.rows[i].token == 0);
        BOOST_TEST(reference.sample(logits[i], rows[i]).token == 0);
    }
}

BOOST_AUTO_TEST_CASE(only_the_row_with_nan_or_infinity_is_reported) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    Rig rig(257, 6);
    std::vector<std::vector<float>> logits(6, normal_logits(257, 1));
    logits[1][256] = std::numeric_limits<float>::quiet_NaN();
    logits[2][0] = infinity;
    logits[4][100] = -infinity;
    const StepResults& results = rig.sample(logits, std::vector<SamplingRow>(6));
    for (const std::size_t row : {1U, 2U, 4U}) BOOST_TEST(!results.rows[row].finite);
    for (const std::size_t row : {0U, 3U, 5U}) {
        BOOST_TEST(results.rows[row].finite);
        BOOST_TEST(results.rows[row].token == results.rows[0].token);
    }
}

BOOST_AUTO_TEST_CASE(token_depends_only_on_its_own_row) {
    std::mt19937 random(9);
    RandomStep step(random, 700, 32);
    Rig rig(700, 32);
    const StepResults together = rig.sample(step.logits, step.rows);
    for (std::size_t i = 0; i < 32; ++i) {
        Rig alone(700, 1);
        BOOST_TEST(alone.sample({step.logits[i]}, {step.rows[i]}).rows[0].token == together.rows[i].token);
    }
    std::ranges::reverse(step.logits);
    std::ranges::reverse(step.rows);
    const StepResults& reversed = rig.sample(step.logits, step.rows);
    for (std::size_t i = 0; i < 32; ++i) BOOST_TEST(reversed.rows[31 - i].token == together.rows[i].token);
}

// A sequence that grows step by step, with drafts that are accepted or rejected.
struct GrowingSequence {
    std::vector<TokenId> context;
    std::int32_t num_prompt_tokens;
    SamplingParams params;
    std::uint64_t sequence;

    // Returns the rows of one step: one after the context and one after each draft.
    std::vector<SamplingRow> rows(std::vector<TokenId>& with_drafts, std::size_t num_drafts) const {
        std::vector<SamplingRow> all;
        for (std::size_t i = 0; i <= num_drafts; ++i) {
            const auto length = context.size() + i;
            all.push_back({.params = params,
                           .sequence = sequence,
                           .position = static_cast<std::int32_t>(length),
                           .context = std::span(with_drafts).first(length),
                           .num_prompt_tokens = num_prompt_tokens});
        }
        return all;
    }
};

BOOST_AUTO_TEST_CASE(penalties_follow_sequences_through_drafts_eviction_and_pauses) {
    constexpr std::size_t vocab = 40;  // small, so that tokens repeat
    constexpr std::size_t num_sequences = 7;
    std::mt19937 random(3);
    // The sampler has slots for 8 sequences. Each step has up to 3 of the 7 sequences, and one new sequence.
    Rig rig(vocab, 8);
    Sampler reference(vocab);
    std::vector<GrowingSequence> sequences;
    for (std::uint64_t i = 0; i < num_sequences; ++i) {
        GrowingSequence made{.context = {}, .num_prompt_tokens = 5, .params = {}, .sequence = i};
        for (int token = 0; token < 5; ++token)
            made.context.push_back(static_cast<TokenId>(random() % vocab));
        made.params = {.temperature = 0.8F,
                       .repetition_penalty = i % 2 == 0 ? 1.3F : 1,
                       .frequency_penalty = 0.4F,
                       .presence_penalty = i % 3 == 0 ? 0.5F : 0,
                       .seed = i};
        sequences.push_back(std::move(made));
    }
    std::uint64_t stranger = 1000;
    for (int step = 0; step < 60; ++step) {
        std::vector<SamplingRow> rows;
        std::vector<std::vector<TokenId>> kept;  // the memory of the rows' contexts
        std::vector<std::vector<float>> logits;
        kept.reserve(4);
        std::vector<std::size_t> chosen;
        for (std::size_t i = 0; i < num_sequences && rows.size() < 5; ++i) {
            if (random() % 3 != 0) continue;
            const std::size_t num_drafts = random() % 3;
            kept.push_back(sequences[i].context);
            for (std::size_t draft = 0; draft < num_drafts; ++draft) {
                kept.back().push_back(static_cast<TokenId>(random() % vocab));
            }
            for (const SamplingRow& row : sequences[i].rows(kept.back(), num_drafts)) rows.push_back(row);
            chosen.push_back(i);
            if (kept.size() == 3) break;
        }
        kept.push_back({1, 2, 3});
        rows.push_back({.params = {.presence_penalty = 1},
                        .sequence = stranger++,
                        .position = 3,
                        .context = kept.back(),
                        .num_prompt_tokens = 1});
        rows.resize(std::min<std::size_t>(rows.size(), 8));
        for (std::size_t i = 0; i < rows.size(); ++i) logits.push_back(normal_logits(vocab, random()));
        const StepResults& results = rig.sample(logits, rows);
        std::vector<TokenId> tokens;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            BOOST_REQUIRE_EQUAL(results.rows[i].token, reference.sample(logits[i], rows[i]).token);
            tokens.push_back(results.rows[i].token);
        }
        // A row's token is appended if all drafts before the row were accepted. A draft is accepted if the
        // row before it chose the same token.
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto found = std::ranges::find(sequences, rows[i].sequence, &GrowingSequence::sequence);
            if (found == sequences.end() || found->context.size() != rows[i].context.size()) continue;
            const bool agrees = std::ranges::equal(found->context, rows[i].context);
            if (agrees && found->context.size() < 200) found->context.push_back(tokens[i]);
        }
    }
    for (const GrowingSequence& sequence : sequences) BOOST_TEST(sequence.context.size() > 10);
}

BOOST_AUTO_TEST_CASE(shorter_context_is_counted_again) {
    Rig rig(40, 2);
    Sampler reference(40);
    const std::vector<TokenId> context = {1, 1, 2, 2, 3, 3, 4, 4};
    for (const std::size_t length : {8U, 3U, 5U}) {
        const auto logits = normal_logits(40, length);
        const SamplingRow row{.params = {.temperature = 0, .frequency_penalty = 2},
                              .sequence = 5,
                              .position = static_cast<std::int32_t>(length),
                              .context = std::span(context).first(length)};
        BOOST_TEST(rig.sample({logits}, {row}).rows[0].token == reference.sample(logits, row).token);
    }
}

BOOST_AUTO_TEST_CASE(step_allocates_nothing) {
    std::mt19937 random(12);
    Rig rig(257, 32);
    RandomStep step(random, 257, 32);
    rig.sample(step.logits, step.rows);
    RandomStep next(random, 257, 32);
    rig.sample(next.logits, next.rows);
    // Only prepare() is counted, because the emulated device itself allocates in the other calls.
    const DeviceSampler& sampler = rig.sampler();
    DeviceSampler& own = const_cast<DeviceSampler&>(sampler);
    Staging staging(own.staging_bytes());
    const std::uint64_t before = num_allocations();
    own.prepare(next.rows, staging);
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_CASE(input_beyond_the_capacity_is_refused) {
    const Stream stream;
    DeviceSampler sampler(16, 2, 8, stream);
    Staging staging(sampler.staging_bytes());
    BOOST_CHECK_THROW(sampler.prepare(std::vector<SamplingRow>(3), staging), std::logic_error);
    const std::vector<TokenId> bans(max_logit_biases + 1);
    SamplingRow row;
    row.banned = bans;
    BOOST_CHECK_THROW(sampler.prepare(std::span(&row, 1), staging), std::logic_error);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
