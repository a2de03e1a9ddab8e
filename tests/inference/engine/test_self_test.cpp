#include "inference/engine/self_test.hpp"

#include <boost/test/unit_test.hpp>

#include "inference/error.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard {
namespace {

constexpr TokenId bos = 1;

void check_fails(const FakeOptions& options, std::string_view part) {
    FakeBackend backend(options);
    BOOST_CHECK_EXCEPTION(self_test(backend, bos), ErrorException, [&](const ErrorException& failure) {
        return failure.error.code == errc::bad_model &&
               failure.error.message.find("self-test") != std::string::npos &&
               failure.error.message.find(part) != std::string::npos;
    });
}

BOOST_AUTO_TEST_SUITE(engine_self_test)

BOOST_AUTO_TEST_CASE(sound_backend_generates_eight_tokens_twice) {
    const auto control = std::make_shared<FakeControl>();
    std::vector<std::vector<TokenId>> contexts;
    FakeOptions options;
    options.script = [&](std::span<const TokenId> context) {
        contexts.emplace_back(context.begin(), context.end());
        return std::nullopt;
    };
    FakeBackend backend(options, control);
    self_test(backend, bos);
    BOOST_TEST(control->steps() == 16U);
    std::vector<TokenId> expected = fake_reference({bos}, 7);
    expected.insert(expected.begin(), bos);
    BOOST_REQUIRE(contexts.size() == 16U);
    BOOST_TEST(contexts[7] == expected);
    BOOST_TEST(contexts[15] == expected);
}

BOOST_AUTO_TEST_CASE(short_context_ends_the_test_early) {
    const auto control = std::make_shared<FakeControl>();
    FakeOptions options;
    options.capacity.max_model_len = 3;
    FakeBackend backend(options, control);
    self_test(backend, bos);
    BOOST_TEST(control->steps() == 6U);
}

BOOST_AUTO_TEST_CASE(logits_that_are_not_finite_fail_at_any_step_of_either_run) {
    for (int faulty = 0; faulty < 16; ++faulty) {
        FakeOptions options;
        options.script = [step = 0, faulty](auto) mutable {
            return step++ == faulty ? std::optional(SampledToken{.token = 5, .finite = false}) : std::nullopt;
        };
        check_fails(options, "not finite");
    }
}

BOOST_AUTO_TEST_CASE(second_run_with_another_token_fails) {
    for (int faulty = 8; faulty < 16; ++faulty) {
        FakeOptions options;
        options.script = [step = 0, faulty](auto) mutable {
            // The fake backend draws no token below first_token, which is 3.
            return step++ == faulty ? std::optional(SampledToken{.token = 0}) : std::nullopt;
        };
        check_fails(options, "different tokens");
    }
}

BOOST_AUTO_TEST_CASE(later_requests_see_nothing_of_the_test) {
    FakeBackend backend(FakeOptions{});
    self_test(backend, bos);
    const BackendCapacity capacity = backend.capacity();
    EngineRun run(backend, demo_tokenizer(),
                  {.max_num_seqs = 4,
                   .max_num_batched_tokens = 64,
                   .num_blocks = capacity.num_blocks,
                   .max_model_len = capacity.max_model_len,
                   .eos_token_ids = {},
                   .prefix_cache = true,
                   .hash_key = {1, 2}});
    Request request;
    request.id = 1;
    request.prompt.assign(40, bos);
    request.max_tokens = 10;
    request.sampling.temperature = 0;
    run.submit(request);
    run.run();
    const Answer answer = run.answers[{1, 0}];
    BOOST_TEST(answer.tokens == fake_reference(request.prompt, 10));
    BOOST_TEST(answer.num_cached_tokens == 0);
    BOOST_TEST(run.snapshot().generated_tokens == 10U);
    BOOST_TEST(run.snapshot().num_free_blocks == capacity.num_blocks);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
