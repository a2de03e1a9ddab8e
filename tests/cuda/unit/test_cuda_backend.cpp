// Tests the whole CUDA backend. The logits of the demonstration model are compared with those of
// transformers, and its texts with those of the CPU backend.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <random>

#include "cuda/cuda_backend.hpp"
#include "inference/sampling/sampler.hpp"
#include "tests/cuda/unit/device_library.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/demo_model.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/golden_families.hpp"
#include "tests/support/hashed_model.hpp"
#include "tests/support/typed_tensors.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

const DemoModel& demo() {
    static const DemoModel model;
    return model;
}

// Returns options with few KV blocks, because a device has room for more blocks than the tests could fill.
CudaBackendOptions small_options() {
    CudaBackendOptions options;
    options.max_model_len = 512;
    options.max_tokens_per_step = 128;
    options.max_seqs_per_step = 32;
    options.max_blocks = 200;
    return options;
}

std::unique_ptr<CudaBackend> make_backend(const CudaBackendOptions& options = small_options()) {
    return std::make_unique<CudaBackend>(demo().source, demo().tensors, demo().config, device_library(),
                                         options);
}

BOOST_AUTO_TEST_SUITE(cuda_backend)

BOOST_DATA_TEST_CASE(logits_are_as_close_to_transformers_as_16_bits_allow, data::make({false, true}),
                     deterministic) {
    CudaBackendOptions options = small_options();
    options.deterministic = deterministic;
    const Golden golden("demo");
    const auto backend = make_backend(options);
    const auto vocab = static_cast<std::size_t>(demo().config.vocab_size);
    check_against(golden, run_sequences(*backend, golden, vocab), vocab);
    check_scores_against(golden, *backend, vocab);
}

// ---- texts

std::vector<TokenId> prompt_of(std::size_t number) {
    static const auto examples = demo_examples();
    const auto& example = examples[number % examples.size()];
    switch (number / examples.size() % 4) {
        case 0:
            return demo().encode(example.question);
        case 1: {  // the product of two numbers
            const std::string question =
                std::to_string(2 + number % 8) + " * " + std::to_string(3 + number / 8 % 7);
            return demo().encode(question);
        }
        case 2: {  // a question after another question and its answer
            const auto& before = examples[(number + 3) % examples.size()];
            return demo().encode({{Role::user, before.question},
                                  {Role::assistant, before.answer},
                                  {Role::user, example.question}});
        }
        default:
            return demo().encode(
                {{Role::system, examples[number % 5].answer}, {Role::user, example.question}});
    }
}

Request greedy_request(std::size_t number) {
    Request request;
    request.id = number;
    request.prompt = prompt_of(number);
    request.max_tokens = 24;
    request.sampling.temperature = 0;
    request.principal.id = number % 5;
    return request;
}

SchedulerOptions scheduling(const Backend& backend, std::int32_t num_blocks) {
    const BackendCapacity capacity = backend.capacity();
    return {.max_num_seqs = 16,
            .max_num_batched_tokens = 64,
            .num_blocks = num_blocks,
            .max_model_len = capacity.max_model_len,
            .eos_token_ids = demo().config.eos_token_ids,
            .hash_key = {1, 2},
            .max_speculative_step_rows = 8};
}

// The tokens that the CPU backend chose for one request. Each margin is the log-probability of the most
// likely token minus that of the second most likely token.
struct Expected {
    std::vector<TokenId> tokens;
    std::vector<float> margins;

    float smallest_margin() const { return *std::ranges::min_element(margins); }
    // Returns the number of tokens before the first token whose margin is small. From that token on, another
    // backend may choose other tokens.
    std::size_t certain() const {
        const auto first = std::ranges::find_if(margins, [](float margin) { return margin < 0.25F; });
        return static_cast<std::size_t>(first - margins.begin());
    }
};

std::vector<Expected> run_on_cpu(std::size_t num_requests) {
    CpuBackendOptions options;
    options.max_model_len = 512;
    options.kv_cache_bytes = std::size_t{32} << 20;
    CpuBackend backend = demo().backend(options);
    EngineRun run(backend, demo().tokenizer, scheduling(backend, backend.capacity().num_blocks));
    for (std::size_t i = 0; i < num_requests; ++i) {
        Request request = greedy_request(i);
        request.sampling.num_logprobs = 2;
        run.submit(std::move(request));
    }
    run.run();
    std::vector<Expected> all(num_requests);
    for (std::size_t i = 0; i < num_requests; ++i) {
        const Answer& answer = run.answers[{i, 0}];
        all[i].tokens = answer.tokens;
        // Each token has three entries: the token itself and the two most likely tokens.
        for (std::size_t at = 0; at + 2 < answer.logprobs.size(); at += 3) {
            all[i].margins.push_back(answer.logprobs[at + 1].logprob - answer.logprobs[at + 2].logprob);
        }
    }
    return all;
}

// Compares texts with those of the CPU backend. The batches mix prompts and decodes, there are only
// `num_blocks` KV blocks, and every ninth request is cancelled before its end.
void check_texts(std::size_t num_requests, const CudaBackendOptions& options, std::int32_t num_blocks) {
    const std::vector<Expected> expected = run_on_cpu(num_requests);
    const auto backend = make_backend(options);
    WatchedBackend watched(*backend);
    EngineRun run(watched, demo().tokenizer, scheduling(*backend, num_blocks));
    std::size_t next = 0;
    while (next < num_requests || run.has_work()) {
        for (int i = 0; i < 3 && next < num_requests; ++i) run.submit(greedy_request(next++));
        run.step();
        if (next % 9 == 0 && next > 4) run.cancel(next - 4);
    }
    std::size_t whole = 0;
    std::size_t cancels = 0;
    std::size_t compared = 0;
    for (std::size_t i = 0; i < num_requests; ++i) {
        const Answer& answer = run.answers[{i, 0}];
        const bool cancelled = answer.finish == FinishReason::cancelled;
        std::size_t count = expected[i].tokens.size();
        if (expected[i].smallest_margin() < 1) count = expected[i].certain();
        if (cancelled) count = std::min(count, answer.tokens.size());
        BOOST_TEST_CONTEXT("request " << i) {
            BOOST_REQUIRE(answer.tokens.size() >= count);
            BOOST_TEST(std::equal(answer.tokens.begin(),
                                  answer.tokens.begin() + static_cast<std::ptrdiff_t>(count),
                                  expected[i].tokens.begin()));
            const bool is_whole = count == expected[i].tokens.size() && !cancelled;
            if (is_whole) BOOST_TEST(answer.tokens.size() == count);
            whole += is_whole ? 1 : 0;
        }
        compared += count;
        cancels += cancelled ? 1 : 0;
    }
    const EngineSnapshot& snapshot = run.snapshot();
    BOOST_TEST_MESSAGE(whole << " of " << num_requests << " texts whole, " << compared << " tokens, "
                             << run.num_steps << " steps, " << watched.num_mixed_steps << " mixed, "
                             << snapshot.num_preemptions << " preemptions, " << snapshot.prefix_cache_hits
                             << " cached, " << snapshot.accepted_draft_tokens << " drafts");
    BOOST_TEST(whole * 2 >= num_requests);
    BOOST_TEST(snapshot.num_free_blocks == num_blocks);
    if (num_requests < 50) return;
    BOOST_TEST(cancels > 0);
    BOOST_TEST(watched.num_mixed_steps > 0);
    BOOST_TEST(snapshot.num_preemptions >= 5);
    BOOST_TEST(snapshot.accepted_draft_tokens > 0);
    BOOST_TEST(snapshot.prefix_cache_hits > 0);
}

BOOST_AUTO_TEST_CASE(ten_texts_are_those_of_the_cpu_backend) {
    check_texts(10, small_options(), 40);
}

// Two hundred texts take too long in the builds that check every access. In those builds, only tests with
// ten texts run.
#if !defined(__SANITIZE_ADDRESS__) && !defined(SOLARD_CUDA_RACE_CHECK)
BOOST_AUTO_TEST_CASE(two_hundred_texts_are_those_of_the_cpu_backend) {
    const RandomSchedule schedule(41);
    check_texts(200, small_options(), 40);
}
#endif

BOOST_AUTO_TEST_CASE(ten_texts_in_deterministic_mode_are_those_of_the_cpu_backend) {
    CudaBackendOptions options = small_options();
    options.deterministic = true;
    check_texts(10, options, 40);
}

BOOST_AUTO_TEST_CASE(ten_texts_in_fp16_are_those_of_the_cpu_backend) {
    CudaBackendOptions options = small_options();
    options.compute_type = DType::fp16;  // the file is bf16, so weights are converted on the device
    check_texts(10, options, 40);
}

// ---- steps by hand

std::vector<TokenId> random_tokens(std::size_t count, std::uint64_t seed, std::int32_t vocab) {
    std::mt19937_64 random(seed);
    std::vector<TokenId> tokens(count);
    for (TokenId& token : tokens) token = static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocab));
    return tokens;
}

// Tests two shapes other than that of the demonstration model. The first has one KV head for each query head,
// tied embeddings and fp16. The second has a head_dim of 128, separate embeddings and a vocabulary of odd
// size. Each prompt is computed in two steps.
BOOST_DATA_TEST_CASE(other_shapes_have_the_logits_of_the_cpu_backend, data::make({0, 1, 2}), number) {
    ModelConfig config = small_mha_config();
    config.head_dim = 64;
    DType type = DType::fp16;
    if (number == 1) {
        config = small_gqa_config();
        config.head_dim = 128;
        config.hidden_size = 96;
        type = DType::bf16;
    }
    if (number == 2) {
        config.rope_scaling = {.type = RopeScaling::Type::llama3,
                               .factor = 8,
                               .low_freq_factor = 1,
                               .high_freq_factor = 4,
                               .original_max_position_embeddings = 32};
    }
    const ModelFolder folder;
    const LoadedModel model(write_hashed_model(folder, config, type));
    const auto vocab = static_cast<std::size_t>(config.vocab_size);
    CudaBackendOptions options = small_options();
    options.compute_type = type;
    options.max_model_len = 256;
    CudaBackend backend(model.source, model.tensors, model.config, device_library(), options);
    CpuBackendOptions cpu_options;
    cpu_options.compute_type = type;
    cpu_options.max_model_len = 256;
    CpuBackend cpu(model.source, model.tensors, model.config, cpu_options);

    for (const std::size_t length : {1U, 2U, 17U, 100U}) {
        const TestSequence sequence{random_tokens(length, length, config.vocab_size), {6, 3, 0, 5, 1, 2, 4}};
        for (std::size_t end : {(length + 1) / 2, length}) {
            ForwardBatch batch;
            batch.block_table_stride = 7;
            add_chunk(batch, sequence, end == length ? length / 2 : 0, end, end - 1);
            StepResults results;
            backend.submit(batch);
            backend.collect(results);
            cpu.submit(batch);
            cpu.collect(results);
        }
        const std::vector<float> found = backend.logits();
        const std::span<const float> expected = cpu.logits();
        BOOST_REQUIRE_EQUAL(found.size(), vocab);
        double difference = 0;
        double magnitude = 0;
        for (std::size_t i = 0; i < vocab; ++i) {
            difference += std::pow(static_cast<double>(found[i]) - expected[i], 2);
            magnitude += std::pow(static_cast<double>(expected[i]), 2);
        }
        BOOST_TEST(std::sqrt(difference / magnitude) < 1.5e-2);
    }
}

BOOST_AUTO_TEST_CASE(vocabulary_of_llama_3_gives_the_greedy_answers_of_transformers) {
    const GoldenFamily family = GoldenFamilies().named("llama31_full_vocabulary");
    const ModelFolder folder;
    family.write_to(folder);
    const LoadedModel model(folder.path());
    BOOST_TEST(model.config.vocab_size == 128256);
    CudaBackendOptions options = small_options();
    options.compute_type = family.dtype();
    CudaBackend backend(model.source, model.tensors, model.config, device_library(), options);
    check_answers(backend, demo().tokenizer, family.prompts(), family.answers());
}

// A sequence with a prompt of 40 tokens. step() returns a batch that computes tokens [begin, end) and samples
// after tokens [first_logits, end).
struct SteppingSequence {
    TestSequence sequence{random_tokens(64, 5, 2000), {9, 4, 7, 2}};

    ForwardBatch step(std::size_t begin, std::size_t end, std::size_t first_logits) const {
        ForwardBatch batch;
        batch.block_table_stride = 4;
        add_chunk(batch, sequence, begin, end, first_logits);
        for (SamplingRow& row : batch.sampling) {
            row.context = std::span(sequence.tokens).first(static_cast<std::size_t>(row.position));
            row.num_prompt_tokens = 40;
            row.params = {.temperature = 0.9F,
                          .top_p = 0.9F,
                          .repetition_penalty = 1.1F,
                          .presence_penalty = 0.3F,
                          .num_logprobs = 3,
                          .seed = 11};
        }
        return batch;
    }
};

BOOST_AUTO_TEST_CASE(tokens_are_those_of_the_reference_sampler_for_the_same_logits) {
    const auto backend = make_backend();
    const SteppingSequence made;
    Sampler reference(demo().config.vocab_size);
    const auto vocab = static_cast<std::size_t>(demo().config.vocab_size);
    // A prompt, single tokens, and steps with three rows, as with drafts.
    for (const auto& [begin, end] :
         {std::pair{0U, 40U}, {40U, 41U}, {41U, 42U}, {42U, 45U}, {43U, 46U}, {46U, 47U}}) {
        const ForwardBatch batch = made.step(begin, end, begin == 0 ? 39 : begin);
        StepResults results;
        backend->submit(batch);
        backend->collect(results);
        const std::vector<float> logits = backend->logits();
        BOOST_REQUIRE_EQUAL(results.rows.size(), batch.sampling.size());
        for (std::size_t row = 0; row < results.rows.size(); ++row) {
            const SampledToken expected =
                reference.sample(std::span(logits).subspan(row * vocab, vocab), batch.sampling[row]);
            BOOST_TEST(results.rows[row].token == expected.token);
            BOOST_TEST(results.rows[row].logprob == expected.logprob, boost::test_tools::tolerance(1e-4F));
        }
    }
}

BOOST_AUTO_TEST_CASE(step_allocates_nothing_and_copies_once_in_each_direction) {
    const auto backend = make_backend();
    const SteppingSequence made;
    StepResults results;
    backend->submit(made.step(0, 8, 7));
    backend->collect(results);
    const ForwardBatch large = made.step(8, 64, 40);  // the largest step so far
    const DeviceCounters before = device_counters();
    backend->submit(large);
    backend->collect(results);
    const DeviceCounters after = device_counters();
    BOOST_TEST(after.allocations == before.allocations);
    if (!device_is_emulated()) return;
    BOOST_TEST(after.copies_to_device - before.copies_to_device == 1);
    BOOST_TEST(after.copies_to_host - before.copies_to_host == 1);
}

BOOST_AUTO_TEST_CASE(scored_step_allocates_nothing_and_copies_the_scores_once) {
    const auto backend = make_backend();
    const SteppingSequence made;
    StepResults results;
    backend->submit(made.step(0, 8, 7));
    backend->collect(results);
    ForwardBatch scored = made.step(8, 64, 63);
    score_chunk(scored, made.sequence, 8, 64, max_top_logprobs);
    const DeviceCounters before = device_counters();
    const std::uint64_t progress = backend->progress();
    backend->submit(scored);
    backend->collect(results);
    const DeviceCounters after = device_counters();
    BOOST_TEST(after.allocations == before.allocations);
    BOOST_TEST(results.scores.size() == 55U * 21U);
    // 55 rows are computed in two slices of at most 32 rows.
    BOOST_TEST(backend->progress() - progress == static_cast<std::uint64_t>(demo().config.num_layers) + 2);
    if (!device_is_emulated()) return;
    BOOST_TEST(after.copies_to_device - before.copies_to_device == 1);
    BOOST_TEST(after.copies_to_host - before.copies_to_host == 2);
}

// The log-probability of a token of the prompt has the same bits as if the token had been sampled from the
// same row of logits. Rows are scored in slices of 32; the prompt is computed at once, and in two chunks.
BOOST_AUTO_TEST_CASE(scores_have_the_bits_of_sampled_rows) {
    CudaBackendOptions options = small_options();
    options.deterministic = true;
    const auto backend = make_backend(options);
    const TestSequence sequence{random_tokens(64, 5, 2000), {9, 4, 7, 2}};
    const auto vocab = static_cast<std::size_t>(demo().config.vocab_size);
    StepResults results;
    std::vector<RankedLogprob> expected;
    std::vector<std::vector<float>> logits;
    for (const std::size_t begin : {0U, 32U}) {
        ForwardBatch batch;
        batch.block_table_stride = 4;
        add_chunk(batch, sequence, begin, begin + 32, begin);
        for (std::size_t i = 0; i < batch.sampling.size(); ++i) {
            // A bias makes the row choose the token that follows in the prompt.
            batch.sampling[i].params = {.temperature = 0, .num_logprobs = 20};
        }
        std::vector<LogitBias> biases(32);
        for (std::size_t i = 0; i < 32 && begin + i + 1 < 64; ++i) {
            biases[i] = {sequence.tokens[begin + i + 1], 100};
            batch.sampling[i].logit_bias = std::span(&biases[i], 1);
        }
        backend->submit(batch);
        backend->collect(results);
        const std::vector<float> step = backend->logits();
        for (std::size_t i = 0; i < 32 && begin + i + 1 < 64; ++i) {
            BOOST_TEST(results.rows[i].token == biases[i].token);
            const std::vector<float> row(step.begin() + static_cast<std::ptrdiff_t>(i * vocab),
                                         step.begin() + static_cast<std::ptrdiff_t>((i + 1) * vocab));
            const auto order = plain::ranked(row, {});
            const auto place = std::ranges::find(order, biases[i].token) - order.begin();
            expected.push_back(
                {biases[i].token, results.rows[i].logprob, static_cast<std::int32_t>(place) + 1});
            for (std::int32_t top = 0; top < 20; ++top) {
                const TokenLogprob& found = results.top_logprobs[i * 20 + static_cast<std::size_t>(top)];
                expected.push_back({found.token, found.logprob, top + 1});
            }
        }
    }
    for (const std::size_t first_end : {64U, 23U}) {
        std::vector<RankedLogprob> found;
        for (const auto& [begin, end] :
             {std::pair{std::size_t{0}, std::size_t{first_end}}, {first_end, 64}}) {
            if (begin == end) continue;
            ForwardBatch batch;
            batch.block_table_stride = 4;
            add_chunk(batch, sequence, begin, end, end);
            score_chunk(batch, sequence, begin, end, 20);
            backend->submit(batch);
            backend->collect(results);
            found.insert(found.end(), results.scores.begin(), results.scores.end());
        }
        BOOST_TEST(same_bits(found, expected));
    }
}

BOOST_AUTO_TEST_CASE(every_kernel_is_loaded_before_the_first_step) {
    unload_kernels();
    const auto backend = make_backend();
    const std::uint64_t loaded = device_counters().kernels;
    const SteppingSequence made;
    StepResults results;
    ForwardBatch batch = made.step(0, 40, 39);
    score_chunk(batch, made.sequence, 0, 40, 5);
    batch.block_copies = {{1, 3}};
    for (const ForwardBatch& step : {batch, made.step(40, 41, 40), made.step(41, 44, 41)}) {
        backend->submit(step);
        backend->collect(results);
    }
    BOOST_TEST(device_counters().kernels == loaded);
    if (device_is_emulated()) BOOST_TEST(loaded == 11);
}

// Computes the same prompt twice: first alone and in one step, then in four chunks beside another sequence.
// The logits of the last token must have the same bits.
BOOST_AUTO_TEST_CASE(in_deterministic_mode_other_sequences_and_chunks_change_no_bit) {
    CudaBackendOptions options = small_options();
    options.deterministic = true;
    const auto backend = make_backend(options);
    const auto vocab = static_cast<std::size_t>(demo().config.vocab_size);
    const TestSequence sequence{random_tokens(40, 5, 2000), {9, 4, 7}};
    const TestSequence other{random_tokens(64, 6, 2000), {1, 2, 3, 5}};
    StepResults results;
    const auto logits_after = [&](const ForwardBatch& batch) {
        backend->submit(batch);
        backend->collect(results);
        std::vector<float> logits = backend->logits();
        logits.resize(std::min(logits.size(), vocab));
        return logits;
    };
    ForwardBatch alone;
    alone.block_table_stride = 4;
    add_chunk(alone, sequence, 0, 40, 39);
    const std::vector<float> expected = logits_after(alone);
    std::size_t begin = 0;
    std::size_t other_begin = 0;
    for (const auto& [end, other_end] : {std::pair{7U, 50U}, {30U, 51U}, {39U, 64U}}) {
        ForwardBatch batch;
        batch.block_table_stride = 4;
        add_chunk(batch, sequence, begin, end, end);
        add_chunk(batch, other, other_begin, other_end, other_end - 1);
        logits_after(batch);
        begin = end;
        other_begin = other_end;
    }
    ForwardBatch last;
    last.block_table_stride = 4;
    add_chunk(last, sequence, 39, 40, 39);
    add_chunk(last, other, 63, 64, 63);
    BOOST_TEST(logits_after(last) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(description_names_device_type_and_library) {
    CudaBackendOptions options = small_options();
    options.deterministic = true;
    const std::string description = make_backend(options)->description();
    BOOST_TEST(description.starts_with("cuda ("));
    BOOST_TEST(description.find(", bf16, deterministic, cuBLASLt ") != std::string::npos, description);
    BOOST_TEST(description.ends_with(device_library().file + ")"), description);
}

BOOST_AUTO_TEST_CASE(copied_blocks_continue_like_their_source) {
    const auto backend = make_backend();
    const SteppingSequence made;
    StepResults results;
    backend->submit(made.step(0, 40, 40));
    backend->collect(results);
    BOOST_TEST(results.rows.empty());
    backend->submit(made.step(40, 41, 40));
    backend->collect(results);
    const std::vector<float> expected = backend->logits();
    // Block 7 holds the tokens from 32 on. Block 1 is its copy, in which token 40 is computed again.
    SteppingSequence copied;
    copied.sequence.blocks[2] = 1;
    ForwardBatch batch = copied.step(40, 41, 40);
    batch.block_copies = {{7, 1}};
    backend->submit(batch);
    backend->collect(results);
    BOOST_TEST(backend->logits() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(device_error_returns_no_token) {
    if (!device_is_emulated()) return;
    auto backend = make_backend();
    const SteppingSequence made;
    StepResults results;
    fail_launch(17);
    const auto run_step = [&] {
        backend->submit(made.step(0, 40, 39));
        backend->collect(results);
    };
    BOOST_CHECK_THROW(run_step(), DeviceError);
    BOOST_CHECK_THROW(run_step(), DeviceError);
    BOOST_TEST(results.rows.empty());
    backend.reset();
    forget_failures();
    make_backend();
}

BOOST_AUTO_TEST_CASE(batch_beyond_the_capacity_is_refused) {
    const auto backend = make_backend();
    const SteppingSequence made;
    ForwardBatch batch = made.step(0, 40, 39);
    batch.slot_mapping[3] = 200 * kv_block_size;
    BOOST_CHECK_THROW(backend->submit(batch), std::logic_error);
    batch = made.step(0, 40, 39);
    batch.block_tables[2] = -1;  // the last block that the sequence uses
    BOOST_CHECK_THROW(backend->submit(batch), std::logic_error);
    batch = made.step(0, 40, 39);
    batch.cu_seqlens_q.back() = 41;
    BOOST_CHECK_THROW(backend->submit(batch), std::logic_error);
    batch = made.step(0, 40, 39);
    batch.context_lens.front() = 39;
    BOOST_CHECK_THROW(backend->submit(batch), std::logic_error);
}

// ---- loading

BOOST_AUTO_TEST_CASE(too_little_memory_for_one_sequence_is_refused_naming_both_options) {
    CudaBackendOptions options = small_options();
    options.max_blocks = 31;
    BOOST_CHECK_EXCEPTION(make_backend(options), ErrorException, [](const ErrorException& failure) {
        const std::string& message = failure.error.message;
        return failure.error.code == errc::bad_configuration &&
               message.find("--gpu-memory-utilization") != std::string::npos &&
               message.find("--max-model-len") != std::string::npos;
    });
    options.max_blocks = 32;
    BOOST_TEST(make_backend(options)->capacity().num_blocks == 32);
}

// Pinned memory holds the inputs of a step and, while the model is loaded, two pieces of the weights. So the
// size of pinned memory does not depend on the size of the model.
BOOST_AUTO_TEST_CASE(host_memory_is_64_mib_for_loading_and_little_for_steps) {
    if (!device_is_emulated()) return;
    const std::uint64_t before = device_counters().pinned_bytes;
    make_backend();
    const std::uint64_t taken = device_counters().pinned_bytes - before;
    BOOST_TEST(taken >= std::uint64_t{64} << 20);
    BOOST_TEST(taken < std::uint64_t{72} << 20);
}

BOOST_AUTO_TEST_CASE(weights_that_do_not_fit_the_device_are_refused) {
    if (!device_is_emulated()) return;
    set_device_memory(std::size_t{3} << 20);
    BOOST_CHECK_EXCEPTION(make_backend(), ErrorException, [](const ErrorException& failure) {
        return failure.error.code == errc::bad_configuration &&
               failure.error.message.find("only 3 MiB of the device's 3 MiB are free") != std::string::npos;
    });
    set_device_memory(std::size_t{2} << 30);
}

#ifndef SOLARD_CUDA_RACE_CHECK  // the race build needs 32 bytes of shadow memory for each byte
BOOST_AUTO_TEST_CASE(kv_blocks_fill_the_allowed_part_of_the_device) {
    if (!device_is_emulated()) return;
    CudaBackendOptions options = small_options();
    options.max_blocks = 0;
    options.gpu_memory_utilization = 0.5;
    const std::int32_t half = make_backend(options)->capacity().num_blocks;
    options.gpu_memory_utilization = 0.25;
    const std::int32_t quarter = make_backend(options)->capacity().num_blocks;
    // The blocks in the difference fill a quarter of 2 GiB. A block has 16 tokens of 3,072 bytes each.
    BOOST_TEST(std::abs(half - quarter - (1 << 29) / (16 * 3072)) <= 1);
}
#endif

BOOST_AUTO_TEST_CASE(unsupported_shape_is_refused_by_name) {
    const ModelFolder folder;
    const LoadedModel model(write_hashed_model(folder, small_gqa_config(), DType::bf16));
    const auto load = [&] {
        CudaBackend(model.source, model.tensors, model.config, device_library(), small_options());
    };
    BOOST_CHECK_EXCEPTION(load(), ErrorException, [](const ErrorException& failure) {
        return failure.error.code == errc::bad_model &&
               failure.error.message.find("head_dim is 24") != std::string::npos;
    });
}

ModelConfig tiny_config() {
    ModelConfig config = small_gqa_config();
    config.hidden_size = 128;
    config.intermediate_size = 256;
    config.num_layers = 1;
    config.num_heads = 4;
    config.head_dim = 64;
    return config;
}

std::vector<float> logits_of(const std::vector<TensorData>& tensors, DType compute_type) {
    const ModelFolder folder;
    folder.write_text("config.json", config_json(tiny_config()));
    folder.write_safetensors("model.safetensors", tensors);
    const LoadedModel model(folder.path());
    CudaBackendOptions options = small_options();
    options.compute_type = compute_type;
    CudaBackend backend(model.source, model.tensors, model.config, device_library(), options);
    ForwardBatch batch;
    batch.block_table_stride = 1;
    add_chunk(batch, {{1, 17, 300, 4, 99}, {0}}, 0, 5, 0);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    return backend.logits();
}

BOOST_AUTO_TEST_CASE(mixed_types_give_the_logits_of_the_converted_file) {
    constexpr DType types[] = {DType::fp32, DType::bf16, DType::fp16};
    const std::vector<TensorData> exact = random_tensors(tiny_config());
    for (const DType compute_type : {DType::bf16, DType::fp16}) {
        std::vector<TensorData> mixed;
        std::vector<TensorData> uniform;
        for (std::size_t i = 0; i < exact.size(); ++i) {
            mixed.push_back(stored_as(types[i % 3], exact[i]));
            uniform.push_back(stored_as(compute_type, mixed.back()));
        }
        BOOST_TEST((logits_of(mixed, compute_type) == logits_of(uniform, compute_type)));
    }
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_refused_by_name) {
    std::vector<TensorData> tensors = random_tensors(tiny_config());
    const auto check = [&](DType compute_type, std::string_view tensor, std::string_view part) {
        BOOST_CHECK_EXCEPTION(logits_of(tensors, compute_type), ErrorException,
                              [&](const ErrorException& failure) {
                                  return failure.error.code == errc::bad_model &&
                                         failure.error.message.find(tensor) != std::string::npos &&
                                         failure.error.message.find(part) != std::string::npos;
                              });
    };
    for (TensorData& tensor : tensors) {
        const TensorData sound = tensor;
        set_element(tensor, tensor.bytes.size() / sizeof(float) - 1, 0x7fc00000);
        check(DType::bf16, "\"" + tensor.name + "\"", "NaN");
        tensor = sound;
    }
    set_element(tensors.front(), 0, 0x47800000);  // 65536
    check(DType::fp16, "model.embed_tokens.weight", "--dtype bf16");
}

BOOST_AUTO_TEST_CASE(progress_counts_every_byte_and_an_exception_ends_the_load) {
    CudaBackendOptions options = small_options();
    std::uint64_t last = 0;
    options.on_load_progress = [&](std::uint64_t done, std::uint64_t total) {
        BOOST_TEST(done > last);
        BOOST_TEST(total == demo().tensors.num_bytes);
        last = done;
    };
    make_backend(options);
    BOOST_TEST(last == demo().tensors.num_bytes);
    options.on_load_progress = [](std::uint64_t, std::uint64_t) {
        throw ErrorException({errc::load_cancelled, "enough"});
    };
    BOOST_CHECK_THROW(make_backend(options), ErrorException);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
