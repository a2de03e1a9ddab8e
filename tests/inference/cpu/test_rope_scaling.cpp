// Tests that a model with scaled RoPE has the logits of a plain forward pass, whose frequencies are made by
// the formulas of Hugging Face transformers, written down once more.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include "inference/cpu/cpu_backend.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/plain_model.hpp"

using namespace solard;

namespace {

constexpr std::size_t num_tokens = 100;
constexpr double factor = 4;
constexpr double original = 64;  // positions; the periods of the planes lie on both sides of both bounds

// Returns 1 / (theta ** (arange(0, dim, 2) / dim)).
std::vector<double> unscaled(const ModelConfig& config) {
    std::vector<double> frequencies;
    for (int i = 0; i < config.head_dim; i += 2)
        frequencies.push_back(1 / std::pow(config.rope_theta, static_cast<double>(i) / config.head_dim));
    return frequencies;
}

std::vector<double> scaled_linearly(std::vector<double> frequencies) {
    for (double& frequency : frequencies) frequency /= factor;
    return frequencies;
}

// low_freq_factor is 1 and high_freq_factor is 4.
std::vector<double> scaled_as_llama3(std::vector<double> frequencies) {
    for (double& frequency : frequencies) {
        const double wavelen = 2 * std::numbers::pi / frequency;
        if (wavelen < original / 4) continue;
        if (wavelen > original / 1) {
            frequency /= factor;
        } else {
            const double smooth = (original / wavelen - 1) / (4 - 1);
            frequency = (1 - smooth) * frequency / factor + smooth * frequency;
        }
    }
    return frequencies;
}

std::vector<float> logits_of_backend(const LoadedModel& model, const TestSequence& sequence) {
    CpuBackendOptions options;
    options.compute_type = DType::fp16;
    options.kv_cache_bytes = std::size_t{1} << 20;
    options.max_model_len = 128;
    options.max_tokens_per_step = 128;
    options.max_seqs_per_step = 128;
    CpuBackend backend(model.source, model.tensors, model.config, options);
    ForwardBatch batch;
    batch.block_table_stride = static_cast<std::int32_t>(sequence.blocks.size());
    add_chunk(batch, sequence, 0, sequence.tokens.size(), 0);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    const auto logits = backend.logits();
    return {logits.begin(), logits.end()};
}

// Returns the L2 norm of the difference, as a share of the norm of `expected`.
double relative_error(const std::vector<float>& found, const std::vector<double>& expected) {
    BOOST_REQUIRE_EQUAL(found.size(), expected.size());
    double difference = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        difference += std::pow(double{found[i]} - expected[i], 2);
        magnitude += std::pow(expected[i], 2);
    }
    return std::sqrt(difference / magnitude);
}

// The logits must be close to those of the plain model with `frequencies`, and far from those with `others`.
void check_model(const ModelConfig& config, const std::vector<double>& frequencies,
                 const std::vector<double>& others) {
    const ModelFolder folder;
    const LoadedModel model(write_hashed_model(folder, config, DType::fp16));
    TestSequence sequence{{}, {3, 0, 6, 1, 5, 2, 4}};
    for (std::size_t i = 0; i < num_tokens; ++i)
        sequence.tokens.push_back(static_cast<TokenId>(i * 7919 % 301));
    const auto logits = logits_of_backend(model, sequence);
    const plain::Model reference(model);
    const double error = relative_error(logits, reference.logits(sequence.tokens, frequencies));
    const double other_error = relative_error(logits, reference.logits(sequence.tokens, others));
    BOOST_TEST_MESSAGE("relative L2 " << error << ", with the other frequencies " << other_error);
    BOOST_TEST(error < 5e-3);
    BOOST_TEST(other_error > 5e-2);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rope_scaling)

BOOST_AUTO_TEST_CASE(llama3_scaled_model_has_the_logits_of_the_plain_model) {
    ModelConfig config = small_gqa_config();
    config.rope_scaling = {.type = RopeScaling::Type::llama3,
                           .factor = factor,
                           .low_freq_factor = 1,
                           .high_freq_factor = 4,
                           .original_max_position_embeddings = static_cast<std::int32_t>(original)};
    const auto plain = unscaled(config);
    check_model(config, scaled_as_llama3(plain), plain);
    check_model(config, scaled_as_llama3(plain), scaled_linearly(plain));
}

BOOST_AUTO_TEST_CASE(linearly_scaled_model_has_the_logits_of_the_plain_model) {
    ModelConfig config = small_gqa_config();
    config.rope_scaling = {.type = RopeScaling::Type::linear, .factor = factor};
    check_model(config, scaled_linearly(unscaled(config)), unscaled(config));
}

BOOST_AUTO_TEST_CASE(unscaled_model_has_the_logits_of_the_plain_model) {
    const ModelConfig config = small_gqa_config();
    check_model(config, unscaled(config), scaled_linearly(unscaled(config)));
}

BOOST_AUTO_TEST_SUITE_END()
