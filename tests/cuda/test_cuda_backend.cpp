// The whole CUDA backend: the demonstration model's logits against transformers', its texts against the CPU
// backend's.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <random>

#include "cuda/cuda_backend.hpp"
#include "tests/cuda/device_library.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/demo_model.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/hashed_model.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

const DemoModel& demo() {
    static const DemoModel model;
    return model;
}

// Few blocks: a device has room for more than the tests could ever fill.
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

BOOST_DATA_TEST_CASE(logits_are_as_near_to_transformers_as_its_own_16_bits, data::make({false, true}),
                     deterministic) {
    CudaBackendOptions options = small_options();
    options.deterministic = deterministic;
    const Golden golden("demo");
    const auto backend = make_backend(options);
    const auto vocab = static_cast<std::size_t>(demo().config.vocab_size);
    check_against(golden, run_sequences(*backend, golden, vocab), vocab);
}

// ---- texts

std::vector<TokenId> prompt_of(std::size_t number) {
    static const auto examples = demo_examples();
    const auto& example = examples[number % examples.size()];
    switch (number / examples.size() % 4) {
        case 0:
            return demo().encode(example.question);
        case 1: {  // a product of its own
            const std::string question =
                std::to_string(2 + number % 8) + " * " + std::to_string(3 + number / 8 % 7);
            return demo().encode(question);
        }
        case 2: {  // behind another question and its answer
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
            .speculation_tokens = 8};
}

// The CPU backend's tokens of each request, and by how much each was the first.
struct Expected {
    std::vector<TokenId> tokens;
    std::vector<float> margins;

    float smallest_margin() const { return *std::ranges::min_element(margins); }
    // Tokens before the first that was nearly another.
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
        // Of each token: its own, the first and the second.
        for (std::size_t at = 0; at + 2 < answer.logprobs.size(); at += 3) {
            all[i].margins.push_back(answer.logprobs[at + 1].logprob - answer.logprobs[at + 2].logprob);
        }
    }
    return all;
}

// Mixed batches in few blocks, with every ninth request cancelled on its way.
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
        }
        compared += count;
        whole += count == expected[i].tokens.size() && !cancelled ? 1 : 0;
    }
    const EngineSnapshot& snapshot = run.snapshot();
    BOOST_TEST_MESSAGE(whole << " of " << num_requests << " texts whole, " << compared << " tokens, "
                             << run.num_steps << " steps, " << watched.num_mixed_steps << " mixed, "
                             << snapshot.num_preemptions << " preemptions, " << snapshot.prefix_cache_hits
                             << " cached, " << snapshot.accepted_draft_tokens << " drafts");
    BOOST_TEST(whole * 2 >= num_requests);
    BOOST_TEST(snapshot.num_free_blocks == num_blocks);
    if (num_requests < 50) return;
    BOOST_TEST(watched.num_mixed_steps > 0);
    BOOST_TEST(snapshot.num_preemptions >= 5);
    BOOST_TEST(snapshot.accepted_draft_tokens > 0);
    BOOST_TEST(snapshot.prefix_cache_hits > 0);
}

BOOST_AUTO_TEST_CASE(ten_texts_are_the_cpu_backends) {
    check_texts(10, small_options(), 40);
}

// Too long where every access is watched; ten have to do there.
#if !defined(__SANITIZE_ADDRESS__) && !defined(SOLARD_CUDA_RACE_CHECK)
BOOST_AUTO_TEST_CASE(two_hundred_texts_are_the_cpu_backends) {
    const RandomSchedule schedule(41);
    check_texts(200, small_options(), 40);
}
#endif

BOOST_AUTO_TEST_CASE(ten_texts_in_deterministic_mode) {
    CudaBackendOptions options = small_options();
    options.deterministic = true;
    check_texts(10, options, 40);
}

BOOST_AUTO_TEST_CASE(ten_texts_in_fp16) {
    CudaBackendOptions options = small_options();
    options.compute_type = DType::fp16;  // the file is bf16: converted on the device
    check_texts(10, options, 40);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
