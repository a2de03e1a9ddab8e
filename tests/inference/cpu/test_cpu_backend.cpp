// Tests what the engine relies on: every bit of a sequence's logits depends only on its own tokens.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/sampling/sampler.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/count_allocations.hpp"
#include "tests/support/cpu_variants.hpp"
#include "tests/support/hashed_model.hpp"
#include "tests/support/plain_sampler.hpp"
#include "tests/support/same_bits.hpp"

using namespace solard;

namespace {

constexpr std::size_t prompt_length = 45;

struct Model {
    Model(const ModelConfig& config, DType dtype) : loaded(write_hashed_model(folder, config, dtype)) {}
    ModelFolder folder;
    LoadedModel loaded;
};

CpuBackendOptions small_options(DType type) {
    CpuBackendOptions options;
    options.compute_type = type;
    options.kv_cache_bytes = std::size_t{1} << 20;
    options.max_model_len = 128;
    options.max_tokens_per_step = 160;
    options.max_seqs_per_step = 160;
    return options;
}

CpuBackend make_backend(const Model& model, const CpuBackendOptions& options) {
    return {model.loaded.source, model.loaded.tensors, model.loaded.config, options};
}

TestSequence random_sequence(std::size_t length, unsigned seed, std::vector<std::int32_t> blocks) {
    std::mt19937 generator(seed);
    TestSequence sequence{{}, std::move(blocks)};
    for (std::size_t i = 0; i < length; ++i) {
        sequence.tokens.push_back(static_cast<TokenId>(generator() % 300));
    }
    return sequence;
}

ForwardBatch empty_batch() {
    ForwardBatch batch;
    batch.block_table_stride = 8;
    return batch;
}

std::vector<float> run(CpuBackend& backend, const ForwardBatch& batch) {
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    BOOST_REQUIRE_EQUAL(results.rows.size(), batch.logits_rows.size());
    const auto logits = backend.logits();
    return {logits.begin(), logits.end()};
}

// Returns the logits of every position, with `chunk` tokens of the sequence per step.
std::vector<float> run_in_chunks(CpuBackend& backend, const TestSequence& sequence, std::size_t chunk) {
    std::vector<float> all;
    for (std::size_t begin = 0; begin < sequence.tokens.size(); begin += chunk) {
        ForwardBatch batch = empty_batch();
        add_chunk(batch, sequence, begin, std::min(begin + chunk, sequence.tokens.size()), begin);
        const auto logits = run(backend, batch);
        all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
}

constexpr TokenId poison_token = 300;

// The small model, in which one token makes every value infinite or NaN. random_sequence() never draws that
// token. All weights are finite: the norms multiply one dimension of the residual by so large a factor that
// the product overflows. Only the poison token's embedding has a value there, and no layer adds one.
const std::filesystem::path& write_poisonable_model(const ModelFolder& folder, DType type) {
    const ModelConfig config = small_gqa_config();
    const Model healthy(config, type);
    std::vector<TensorData> tensors = llama_tensors(config, type);
    const auto one_thousand = static_cast<std::uint16_t>(type == DType::bf16 ? 0x447a : 0x63d0);
    const auto huge = static_cast<std::uint16_t>(type == DType::bf16 ? 0x7e96 : 0x7b53);  // 1e38, 60000
    for (TensorData& tensor : tensors) {
        healthy.loaded.source.read(*healthy.loaded.source.find(tensor.name), 0, tensor.bytes).value();
        const auto set = [&](std::size_t index, std::uint16_t half) {
            std::memcpy(tensor.bytes.data() + 2 * index, &half, sizeof half);
        };
        const auto hidden = static_cast<std::size_t>(config.hidden_size);
        if (tensor.name == "model.embed_tokens.weight") {
            for (std::size_t token = 0; token < 301; ++token)
                set(token * hidden, token == poison_token ? one_thousand : 0);
        } else if (tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight")) {
            std::fill_n(tensor.bytes.begin(), 2 * tensor.shape[1], std::byte{0});  // row 0
        } else if (tensor.shape.size() == 1) {
            set(0, huge);
        }
    }
    folder.write_text("config.json", config_json(config));
    folder.write_safetensors("model.safetensors", tensors);
    return folder.path();
}

struct PoisonableModel {
    explicit PoisonableModel(DType type) : loaded(write_poisonable_model(folder, type)) {}
    ModelFolder folder;
    LoadedModel loaded;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu_backend)

BOOST_AUTO_TEST_CASE(every_chunking_of_a_prompt_computes_the_same_bits) {
    for (const ModelConfig& config : {small_gqa_config(), small_mha_config()}) {
        const Model model(config, DType::bf16);
        const TestSequence sequence = random_sequence(prompt_length, 1, {2, 0, 1});
        for (const CpuVariant variant : cpu_variants) {
            CpuBackendOptions options = small_options(variant.type);
            options.force_portable = variant.portable;
            CpuBackend backend = make_backend(model, options);
            const auto whole = run_in_chunks(backend, sequence, prompt_length);
            for (const std::size_t chunk : {16UL, 7UL, 1UL}) {
                BOOST_TEST(same_bits(run_in_chunks(backend, sequence, chunk), whole));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_thread_count_changes_no_bit) {
    const Model model(small_gqa_config(), DType::bf16);
    const TestSequence sequence = random_sequence(prompt_length, 2, {0, 1, 2});
    for (const CpuVariant variant : cpu_variants) {
        CpuBackendOptions options = small_options(variant.type);
        options.force_portable = variant.portable;
        CpuBackend one = make_backend(model, options);
        options.num_threads = 2;
        CpuBackend two = make_backend(model, options);
        BOOST_TEST(same_bits(run_in_chunks(one, sequence, 16), run_in_chunks(two, sequence, 16)));
    }
}

BOOST_AUTO_TEST_CASE(other_sequences_and_the_place_of_blocks_change_no_bit) {
    const Model model(small_gqa_config(), DType::fp16);
    // The first sequence decodes, the second is in the middle of its prompt, and the third begins. The
    // blocks of the three sequences are interleaved and out of order.
    const TestSequence shuffled[] = {random_sequence(34, 3, {7, 2, 9}), random_sequence(60, 4, {1, 11, 0, 5}),
                                     random_sequence(17, 5, {8, 3})};
    const std::size_t begin[] = {33, 20, 0};
    for (const bool portable : {false, true}) {
        CpuBackendOptions options = small_options(DType::fp16);
        options.force_portable = portable;
        CpuBackend backend = make_backend(model, options);

        std::vector<float> expected;
        for (const TestSequence& sequence : shuffled) {
            TestSequence alone = sequence;
            for (std::size_t i = 0; i < alone.blocks.size(); ++i)
                alone.blocks[i] = static_cast<std::int32_t>(i);
            const auto logits = run_in_chunks(backend, alone, alone.tokens.size());
            expected.insert(expected.end(), logits.end() - 301, logits.end());
        }

        ForwardBatch together = empty_batch();
        for (std::size_t i = 0; i < 3; ++i) {
            if (begin[i] > 0) {
                ForwardBatch earlier = empty_batch();
                add_chunk(earlier, shuffled[i], 0, begin[i], begin[i]);
                run(backend, earlier);
            }
            const std::size_t end = shuffled[i].tokens.size();
            add_chunk(together, shuffled[i], begin[i], end, end - 1);
        }
        BOOST_TEST(same_bits(run(backend, together), expected));
    }
}

BOOST_AUTO_TEST_CASE(earlier_contents_of_a_block_change_no_bit) {
    const TestSequence clean = random_sequence(20, 6, {4, 3});
    const TestSequence poison{std::vector<TokenId>(32, poison_token), clean.blocks};
    for (const CpuVariant variant : cpu_variants) {
        const PoisonableModel model(variant.type);
        CpuBackendOptions options = small_options(variant.type);
        options.force_portable = variant.portable;
        CpuBackend backend(model.loaded.source, model.loaded.tensors, model.loaded.config, options);
        const auto expected = run_in_chunks(backend, clean, 20);
        BOOST_TEST(std::isnan(run_in_chunks(backend, poison, 32).back()));
        BOOST_TEST(same_bits(run_in_chunks(backend, clean, 7), expected));
    }
}

BOOST_AUTO_TEST_CASE(row_that_is_not_finite_is_reported_and_affects_no_other) {
    const PoisonableModel model(DType::bf16);
    const TestSequence clean = random_sequence(20, 7, {1, 2});
    const TestSequence poison{std::vector<TokenId>(5, poison_token), {3}};
    CpuBackend backend(model.loaded.source, model.loaded.tensors, model.loaded.config,
                       small_options(DType::bf16));
    const auto expected = run_in_chunks(backend, clean, 20);

    ForwardBatch batch = empty_batch();
    add_chunk(batch, poison, 0, 5, 4);
    add_chunk(batch, clean, 0, 20, 0);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    BOOST_TEST(!results.rows[0].finite);
    for (std::size_t row = 1; row <= 20; ++row) BOOST_TEST(results.rows[row].finite);
    BOOST_TEST(same_bits(backend.logits().subspan(301), expected));
}

BOOST_AUTO_TEST_CASE(greedy_row_takes_the_largest_logit) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackend backend = make_backend(model, small_options(DType::bf16));
    ForwardBatch batch = empty_batch();
    add_chunk(batch, random_sequence(9, 8, {0}), 0, 9, 0);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    const auto logits = backend.logits();
    for (std::size_t row = 0; row < 9; ++row) {
        const auto values = logits.subspan(row * 301, 301);
        const auto best = std::ranges::max_element(values) - values.begin();
        BOOST_TEST(results.rows[row].token == best);
    }
}

// Two sequences share 40 tokens and then differ. One step copies their half-filled last block and writes the
// next token of each sequence. The token of one sequence goes to the original block, and the token of the
// other sequence goes to the copy.
BOOST_AUTO_TEST_CASE(copied_block_is_the_original_before_the_step) {
    const TestSequence original = random_sequence(41, 9, {4, 7, 1});
    TestSequence branch = original;
    branch.tokens.back() = (original.tokens.back() + 1) % 300;
    const TestSequence copied{branch.tokens, {4, 7, 6}};
    const TestSequence poison{std::vector<TokenId>(16, poison_token), {6}};
    for (const CpuVariant variant : cpu_variants) {
        const PoisonableModel model(variant.type);
        CpuBackendOptions options = small_options(variant.type);
        options.force_portable = variant.portable;
        options.num_threads = 2;
        CpuBackend backend(model.loaded.source, model.loaded.tensors, model.loaded.config, options);
        std::vector<float> expected;
        for (const TestSequence& sequence : {branch, original}) {
            const auto logits = run_in_chunks(backend, sequence, 41);
            expected.insert(expected.end(), logits.end() - 301, logits.end());
        }
        run_in_chunks(backend, poison, 16);
        ForwardBatch prompt = empty_batch();
        add_chunk(prompt, original, 0, 40, 40);
        run(backend, prompt);

        ForwardBatch step = empty_batch();
        step.block_copies = {{1, 6}, {4, 0}};
        add_chunk(step, copied, 40, 41, 40);
        add_chunk(step, original, 40, 41, 40);
        BOOST_TEST(same_bits(run(backend, step), expected));
    }
}

BOOST_AUTO_TEST_CASE(one_token_may_have_more_rows_than_a_step_has_tokens) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackendOptions options = small_options(DType::bf16);
    options.max_tokens_per_step = 3;
    options.max_seqs_per_step = 50;
    CpuBackend backend = make_backend(model, options);
    ForwardBatch batch = empty_batch();
    add_chunk(batch, random_sequence(3, 10, {0}), 0, 3, 2);
    const auto expected = run(backend, batch);

    batch.logits_rows.assign(50, 2);
    batch.logits_rows[0] = 0;
    SamplingRow row = batch.sampling[0];
    batch.sampling.assign(50, row);
    for (std::uint32_t choice = 0; choice < 4; ++choice) {
        batch.sampling[10 + choice].params = {.temperature = 2, .seed = 5, .choice = choice};
    }
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    BOOST_REQUIRE(results.rows.size() == 50);
    for (std::size_t i = 1; i < 50; ++i) {
        const auto logits = backend.logits().subspan(i * 301, 301);
        BOOST_TEST(same_bits({logits.begin(), logits.end()}, expected));
        row.params = batch.sampling[i].params;
        BOOST_TEST(results.rows[i].token == plain::choose(expected, row));
    }
}

BOOST_AUTO_TEST_CASE(top_logprobs_have_a_place_for_every_row_if_any_row_asks) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackendOptions options = small_options(DType::bf16);
    options.num_threads = 2;
    CpuBackend backend = make_backend(model, options);
    ForwardBatch batch = empty_batch();
    add_chunk(batch, random_sequence(9, 11, {0}), 0, 9, 5);
    batch.sampling[1].params.num_logprobs = 20;
    batch.sampling[3].params.num_logprobs = 2;
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    BOOST_REQUIRE(results.top_logprobs.size() == 4U * max_top_logprobs);
    for (std::size_t i = 0; i < results.top_logprobs.size(); ++i) {
        const std::size_t row = i / max_top_logprobs;
        const std::size_t place = i % max_top_logprobs;
        const auto logits = backend.logits().subspan(row * 301, 301);
        const std::vector<float> values(logits.begin(), logits.end());
        const TokenLogprob& found = results.top_logprobs[i];
        if (static_cast<std::int32_t>(place) >= batch.sampling[row].params.num_logprobs) {
            BOOST_TEST(found.token == -1);
            continue;
        }
        BOOST_TEST(found.token == plain::ranked(values, {})[place]);
        BOOST_TEST(found.logprob == plain::log_softmax(values)[static_cast<std::size_t>(found.token)],
                   boost::test_tools::tolerance(1e-5));
        if (place == 0) BOOST_TEST(results.rows[row].logprob == found.logprob);
    }

    for (SamplingRow& row : batch.sampling) row.params.num_logprobs = -1;
    backend.submit(batch);
    backend.collect(results);
    BOOST_TEST(results.top_logprobs.empty());
    BOOST_TEST(results.rows.size() == 4);
}

// Every row of the prompt is sampled in one step with enough rows. The steps of the other backend score the
// same rows in slices of 7 rows.
BOOST_AUTO_TEST_CASE(scores_have_the_bits_of_sampled_rows_whatever_the_slices_and_chunks) {
    const Model model(small_gqa_config(), DType::bf16);
    const TestSequence sequence = random_sequence(prompt_length, 14, {2, 0, 1});
    const TestSequence other = random_sequence(20, 15, {5, 4});
    for (const CpuVariant variant : cpu_variants) {
        CpuBackendOptions options = small_options(variant.type);
        options.force_portable = variant.portable;
        CpuBackend sampling = make_backend(model, options);
        const auto logits = run_in_chunks(sampling, sequence, prompt_length);
        std::vector<RankedLogprob> expected;
        Sampler sampler(301);
        for (std::size_t i = 0; i + 1 < prompt_length; ++i) {
            const TokenId next = sequence.tokens[i + 1];
            const std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(i * 301),
                                         logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * 301));
            const LogitBias bias{next, 100};  // makes the row choose the token that follows in the prompt
            std::vector<TokenLogprob> top(max_top_logprobs);
            const SampledToken drawn = sampler.sample(
                row, {.params = {.temperature = 0, .num_logprobs = 3}, .logit_bias = std::span(&bias, 1)},
                top);
            BOOST_TEST(drawn.token == next);
            const auto order = plain::ranked(row, {});
            const auto place = std::ranges::find(order, next) - order.begin();
            expected.push_back({next, drawn.logprob, static_cast<std::int32_t>(place) + 1});
            for (std::int32_t j = 0; j < 3; ++j) {
                const TokenLogprob& likely = top[static_cast<std::size_t>(j)];
                expected.push_back({likely.token, likely.logprob, j + 1});
            }
        }

        options.max_seqs_per_step = 7;
        options.num_threads = 2;
        CpuBackend scoring = make_backend(model, options);
        for (const std::size_t chunk : {prompt_length, std::size_t{16}, std::size_t{7}, std::size_t{1}}) {
            std::vector<RankedLogprob> found;
            for (std::size_t begin = 0; begin < prompt_length; begin += chunk) {
                const std::size_t end = std::min(begin + chunk, prompt_length);
                ForwardBatch batch = empty_batch();
                add_chunk(batch, other, 0, 20, 19);
                add_chunk(batch, sequence, begin, end, end - 1);
                score_chunk(batch, sequence, begin, end, 3);
                const auto last = run(scoring, batch);
                BOOST_TEST(
                    same_bits(std::span(last).last(301), std::span(logits).subspan((end - 1) * 301, 301)));
                StepResults results;
                scoring.collect(results);
                found.insert(found.end(), results.scores.begin(), results.scores.end());
            }
            BOOST_TEST(same_bits(found, expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(score_of_a_row_that_is_not_finite_has_rank_zero) {
    const PoisonableModel model(DType::bf16);
    CpuBackend backend(model.loaded.source, model.loaded.tensors, model.loaded.config,
                       small_options(DType::bf16));
    TestSequence sequence = random_sequence(6, 16, {0});
    sequence.tokens[3] = poison_token;
    ForwardBatch batch = empty_batch();
    add_chunk(batch, sequence, 0, 6, 6);
    score_chunk(batch, sequence, 0, 6, 1);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    BOOST_REQUIRE(results.scores.size() == 10);
    for (std::size_t i = 0; i < 10; ++i) BOOST_TEST((results.scores[i].rank == 0) == (i >= 6));
}

BOOST_AUTO_TEST_CASE(step_allocates_nothing_even_if_it_is_the_largest_so_far) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackend backend = make_backend(model, small_options(DType::bf16));
    ForwardBatch small = empty_batch();
    add_chunk(small, random_sequence(2, 12, {0}), 0, 2, 1);
    ForwardBatch large = empty_batch();
    const TestSequence sixty = random_sequence(60, 13, {1, 2, 3, 4});
    add_chunk(large, sixty, 0, 60, 0);
    score_chunk(large, sixty, 0, 60, max_top_logprobs);
    large.block_copies = {{0, 5}};
    for (SamplingRow& row : large.sampling) {
        row.params = {.temperature = 1, .top_p = 0.9F, .num_logprobs = 20};
    }
    StepResults results;
    backend.submit(small);
    backend.collect(results);
    const std::uint64_t before = num_allocations();
    backend.submit(large);
    backend.collect(results);
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_CASE(kv_cache_too_small_for_one_sequence_is_refused_naming_both_options) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackendOptions options = small_options(DType::bf16);
    const std::size_t block_bytes = std::size_t{2} * 3 * 2 * 32 * 16 * 2;  // head_dim 24 is padded to 32
    options.kv_cache_bytes = 8 * block_bytes;
    BOOST_TEST(make_backend(model, options).capacity().num_blocks == 8);
    options.kv_cache_bytes -= 1;
    BOOST_CHECK_EXCEPTION(make_backend(model, options), ErrorException, [](const ErrorException& failure) {
        const std::string& message = failure.error.message;
        return failure.error.code == errc::bad_configuration &&
               message.find("--kv-cache-memory") != std::string::npos &&
               message.find("--max-model-len") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(batch_beyond_the_capacity_throws_and_writes_nothing) {
    const Model model(small_gqa_config(), DType::bf16);
    CpuBackendOptions options = small_options(DType::bf16);
    options.max_tokens_per_step = 40;
    options.max_seqs_per_step = 2;
    CpuBackend backend = make_backend(model, options);
    const auto throws_after = [&](auto&& spoil) {
        ForwardBatch batch = empty_batch();
        add_chunk(batch, random_sequence(20, 1, {0, 1}), 0, 20, 19);
        spoil(batch);
        BOOST_CHECK_THROW(backend.submit(batch), std::logic_error);
    };
    throws_after([](ForwardBatch& batch) { add_chunk(batch, random_sequence(21, 2, {2, 3}), 0, 21, 20); });
    throws_after([](ForwardBatch& batch) { batch.logits_rows = {0, 1, 2}; });
    throws_after([](ForwardBatch& batch) { batch.token_ids[3] = 301; });
    throws_after([](ForwardBatch& batch) { batch.token_ids[3] = -1; });
    throws_after([](ForwardBatch& batch) { batch.slot_mapping[3] = 16 * 1000; });
    throws_after([](ForwardBatch& batch) { batch.context_lens[0] = 129; });
    throws_after([](ForwardBatch& batch) { batch.logits_rows[0] = 20; });
    throws_after([](ForwardBatch& batch) { batch.logits_rows[0] = -1; });
    throws_after([](ForwardBatch& batch) { batch.sampling.clear(); });
    for (const ScoredToken scored : {ScoredToken{.row = 20},
                                     {.row = -1},
                                     {.row = 0, .token = 301},
                                     {.row = 0, .token = -1},
                                     {.row = 0, .num_alternatives = 21},
                                     {.row = 0, .num_alternatives = -1},
                                     {.row = 0, .first_score = 1}}) {
        throws_after([&](ForwardBatch& batch) { batch.scored_tokens = {scored}; });
    }
    throws_after(
        [](ForwardBatch& batch) { batch.scored_tokens = {{.row = 3}, {.row = 3, .first_score = 1}}; });
    throws_after([](ForwardBatch& batch) {
        batch.scored_tokens = {{.row = 3, .num_alternatives = 2}, {.row = 4, .first_score = 2}};
    });
    const std::int32_t num_blocks = backend.capacity().num_blocks;
    for (const BlockCopy copy : {BlockCopy{-1, 3}, {3, -1}, {num_blocks, 3}, {3, num_blocks}, {3, 3}}) {
        throws_after([&](ForwardBatch& batch) { batch.block_copies = {{4, 5}, copy}; });
    }
}

BOOST_AUTO_TEST_CASE(loading_reports_every_byte_and_each_layer_advances_progress) {
    const Model model(small_mha_config(), DType::bf16);
    CpuBackendOptions options = small_options(DType::bf16);
    options.num_threads = 2;
    std::uint64_t last = 0;
    options.on_load_progress = [&](std::uint64_t done, std::uint64_t total) {
        BOOST_TEST(done > last);
        BOOST_TEST(total == model.loaded.tensors.num_bytes);
        last = done;
    };
    CpuBackend backend = make_backend(model, options);
    BOOST_TEST(last == model.loaded.tensors.num_bytes);
    BOOST_TEST(backend.progress().load() == 0);
    run_in_chunks(backend, random_sequence(3, 1, {0}), 3);
    BOOST_TEST(backend.progress().load() >= 2);
    BOOST_TEST(backend.description().find("2 threads, bf16") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
