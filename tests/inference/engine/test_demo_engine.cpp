// Tests the whole engine with real arithmetic: every answer has the same bits as if its request had run
// alone, whatever runs beside it.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <random>

#include "tests/support/counting_model.hpp"
#include "tests/support/demo_model.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/hashed_model.hpp"

using namespace solard;

namespace {

constexpr std::int32_t max_model_len = 1024;
constexpr std::uint64_t lonely_salt = 99;

const DemoModel& demo() {
    static const DemoModel model;
    return model;
}

CpuBackend make_backend() {
    CpuBackendOptions options;
    options.kv_cache_bytes = std::size_t{10} << 20;
    options.max_model_len = max_model_len;
    options.max_tokens_per_step = 512;
    options.max_seqs_per_step = 64;
    return demo().backend(options);
}

// Options with enough slots, blocks and tokens, and without the features that must not change an answer.
SchedulerOptions plain_options(const Backend& backend) {
    const BackendCapacity capacity = backend.capacity();
    return {.max_num_seqs = 8,
            .max_num_batched_tokens = capacity.max_tokens_per_step,
            .num_blocks = capacity.num_blocks,
            .max_model_len = capacity.max_model_len,
            .eos_token_ids = demo().config.eos_token_ids,
            .prefix_cache = false,
            .hash_key = {1, 2}};
}

// Options with few slots, blocks and tokens, and with all features that must not change an answer.
SchedulerOptions tight_options(const Backend& backend, std::int32_t max_num_seqs,
                               std::int32_t max_num_batched_tokens, std::int32_t num_blocks) {
    SchedulerOptions options = plain_options(backend);
    options.max_num_seqs = max_num_seqs;
    options.max_num_batched_tokens = max_num_batched_tokens;
    options.num_blocks = num_blocks;
    options.prefix_cache = true;
    options.max_speculative_step_rows = 16;
    return options;
}

// Returns the answers to the request's choices if no other request runs.
std::vector<Answer> run_alone(Backend& backend, const Request& request) {
    EngineRun run(backend, demo().tokenizer, plain_options(backend));
    run.submit(request);
    run.run();
    std::vector<Answer> answers;
    answers.reserve(run.answers.size());
    for (auto& [key, answer] : run.answers) answers.push_back(std::move(answer));
    return answers;
}

template <class T>
bool begins_with(const T& whole, const T& part) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

bool begins_with_bits(const std::vector<TokenLogprob>& whole, const std::vector<TokenLogprob>& part) {
    return part.size() <= whole.size() &&
           std::equal(part.begin(), part.end(), whole.begin(),
                      [](const TokenLogprob& a, const TokenLogprob& b) { return same_bits(a, b); });
}

void check_same(const Answer& found, const Answer& expected) {
    BOOST_TEST(found.tokens == expected.tokens, boost::test_tools::per_element());
    BOOST_TEST(found.text == expected.text);
    BOOST_TEST((found.finish == expected.finish));
    BOOST_TEST(found.matched_stop == expected.matched_stop);
    BOOST_TEST(found.matched_stop_token == expected.matched_stop_token);
    BOOST_TEST(found.logprobs.size() == expected.logprobs.size());
    BOOST_TEST(begins_with_bits(expected.logprobs, found.logprobs));
    BOOST_TEST(same_bits(found.prompt_logprobs, expected.prompt_logprobs));
}

// A third of the prompts consist of one question. Another third repeat a question after its answer, so that
// drafts are likely. In the remaining prompts, a question follows one of three long system texts.
std::vector<TokenId> mixed_prompt(std::uint64_t number) {
    static const auto examples = demo_examples();
    const auto example = [](std::uint64_t n) { return examples[n % examples.size()]; };
    const auto [question, answer] = example(number);
    std::vector<ChatMessage> messages;
    if (number % 3 == 1) {
        messages = {{Role::user, question}, {Role::assistant, answer}};
    } else if (number % 3 == 2) {
        std::string system;
        for (std::uint64_t i = 0; i < examples.size(); ++i) {
            system += example(i + 5 * (number % 9 / 3)).answer + "\n";
        }
        messages = {{Role::system, system}};
    }
    messages.push_back({Role::user, question});
    return demo().encode(messages);
}

Request mixed_request(RequestId id) {
    Request request;
    request.id = id;
    request.prompt = mixed_prompt(id);
    request.max_tokens = 20 + static_cast<std::int32_t>(id * 37 % 120);
    if (id % 9 == 4) request.num_choices = 3;
    if (id % 16 == 7) request.num_choices = 2;
    SamplingParams& sampling = request.sampling;
    constexpr float temperatures[] = {0, 0.7F, 0, 1.3F};
    sampling.temperature = temperatures[id / 3 % 4];
    sampling.seed = id * 1000;
    if (id % 4 == 1) sampling.top_p = 0.9F;
    if (id % 5 == 0) sampling.top_k = 20;
    if (id % 7 == 0) sampling.min_p = 0.05F;
    if (id % 6 == 1) sampling.frequency_penalty = 0.5F;
    if (id % 6 == 2) sampling.presence_penalty = 0.5F;
    if (id % 12 == 3) sampling.repetition_penalty = 1.2F;
    if (id % 4 != 3) sampling.num_logprobs = static_cast<std::int32_t>(id % 4) * 2;
    if (id % 8 == 0) request.logit_bias = {{static_cast<TokenId>(300 + id), 8.0F}, {400, -3.0F}};
    if (id % 7 == 3) request.min_tokens = 12;
    if (id % 5 == 2) request.stop = {"never said", "the"};
    if (id % 13 == 6) request.stop_token_ids = {demo().encode("?").back(), 310, 311, 312};
    if (id % 4 == 1) request.ignore_eos = true;
    request.principal = {.id = (id - 1) / 8, .weight = (id - 1) / 8 == 2 ? 2 : 1};
    if (id % 4 == 2) request.cache_salt = 7;
    if (id == 44) request.cache_salt = lonely_salt;
    if (id % 10 == 3) request.num_prompt_logprobs = static_cast<std::int32_t>(id % 4);
    return request;
}

// Returns the number of tokens after which the request is cancelled, or -1 if it is never cancelled.
std::int32_t cancelled_after(RequestId id) {
    return id % 8 == 5 ? static_cast<std::int32_t>(id / 8) * 3 : -1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(demo_engine)

BOOST_AUTO_TEST_CASE(sixty_four_mixed_requests_get_the_same_answers_as_alone) {
    constexpr RequestId num_requests = 64;
    CpuBackend backend = make_backend();
    WatchedBackend watched(backend);
    const SchedulerOptions options = tight_options(backend, 12, 64, 64);
    EngineRun run(watched, demo().tokenizer, options);

    RequestId next = 1;
    std::set<RequestId> to_cancel;
    while (next <= num_requests || run.has_work()) {
        // The requests come in bursts. Each burst belongs to one principal, so that the next principal finds
        // the pool full.
        for (int i = 0; i < 8 && run.num_steps % 8 == 0 && next <= num_requests; ++i, ++next) {
            run.submit(mixed_request(next));
            if (cancelled_after(next) >= 0) to_cancel.insert(next);
        }
        run.step();
        std::erase_if(to_cancel, [&](RequestId id) {
            const auto answer = run.answers.find({id, 0});
            const std::size_t num_tokens = answer == run.answers.end() ? 0 : answer->second.tokens.size();
            if (std::cmp_less(num_tokens, cancelled_after(id))) return false;
            run.cancel(id);
            return true;
        });
    }

    std::size_t num_cancelled = 0;
    std::size_t num_cut = 0;  // cancelled answers that have tokens
    std::set<FinishReason> ends;
    std::int32_t max_cached = 0;
    for (RequestId id = 1; id <= num_requests; ++id) {
        const Request request = mixed_request(id);
        const auto alone = run_alone(backend, request);
        BOOST_REQUIRE(alone.size() == request.num_choices);
        for (std::uint32_t choice = 0; choice < request.num_choices; ++choice) {
            BOOST_TEST_CONTEXT("request " << id << " choice " << choice) {
                const Answer& answer = run.answers[{id, choice}];
                const Answer& expected = alone[choice];
                max_cached = std::max(max_cached, answer.num_cached_tokens);
                if (request.cache_salt == lonely_salt) BOOST_TEST(answer.num_cached_tokens == 0);
                if (answer.finish != FinishReason::cancelled) {
                    ends.insert(answer.finish);
                    check_same(answer, expected);
                    continue;
                }
                BOOST_TEST(cancelled_after(id) >= 0);
                BOOST_TEST(begins_with(expected.tokens, answer.tokens));
                BOOST_TEST(begins_with(expected.text, answer.text));
                BOOST_TEST(begins_with_bits(expected.logprobs, answer.logprobs));
                ++num_cancelled;
                num_cut += answer.tokens.empty() ? 0 : 1;
            }
        }
    }

    // Checks that the run was as mixed as intended.
    const EngineSnapshot& snapshot = run.snapshot();
    BOOST_TEST_MESSAGE(
        run.num_steps << " steps, " << watched.num_mixed_steps << " mixed, " << watched.num_block_copies
                      << " copies, " << snapshot.num_preemptions << " preemptions of " << run.preempted.size()
                      << " requests, " << snapshot.prefix_cache_hits << " cached of "
                      << snapshot.prefix_cache_queries << ", " << snapshot.accepted_draft_tokens << " of "
                      << snapshot.draft_tokens << " drafts, " << num_cancelled << " cancelled");
    BOOST_TEST(snapshot.num_preemptions >= 20);
    BOOST_TEST(run.preempted.size() >= 5);
    BOOST_TEST(watched.num_mixed_steps >= 20);
    BOOST_TEST(watched.num_block_copies >= 5);
    BOOST_TEST(max_cached >= 160);
    BOOST_TEST(snapshot.prefix_cache_hits > 0);
    BOOST_TEST(snapshot.accepted_draft_tokens >= 50);
    BOOST_TEST(snapshot.draft_tokens > snapshot.accepted_draft_tokens);
    BOOST_TEST(num_cut >= 3);
    BOOST_TEST(num_cancelled > num_cut);
    BOOST_TEST((ends == std::set{FinishReason::stop, FinishReason::length}));
    BOOST_TEST(snapshot.num_running == 0);
    BOOST_TEST(snapshot.num_waiting == 0);
    BOOST_TEST(snapshot.num_free_blocks == options.num_blocks);
}

// This test needs no second run to compare with. Each of sixty-four requests lists its own range of numbers
// in its own order, and its answer must continue that list. To find each token, the model looks up the
// previous number in the request's own prompt or, once the list repeats, in its own answer. A wrong, stale or
// missing block changes the token or its probability.
BOOST_AUTO_TEST_CASE(sixty_four_requests_continue_their_own_numbers) {
    const ModelFolder folder;
    const LoadedModel model(counting::write_model(folder));
    CpuBackendOptions backend_options;
    backend_options.kv_cache_bytes = std::size_t{1} << 20;
    backend_options.max_model_len = max_model_len;
    CpuBackend backend(model.source, model.tensors, model.config, backend_options);
    const SchedulerOptions options{.max_num_seqs = 30,
                                   .max_num_batched_tokens = 64,
                                   .num_blocks = 64,
                                   .max_model_len = max_model_len,
                                   .hash_key = {1, 2},
                                   .max_speculative_step_rows = 16};
    BOOST_REQUIRE(backend.capacity().num_blocks >= options.num_blocks);
    EngineRun run(backend, demo().tokenizer, options);

    std::mt19937 random(1);
    std::vector<std::vector<TokenId>> expected;
    for (std::int32_t owner = 0; owner < counting::num_owners; ++owner) {
        Request request;
        request.id = static_cast<RequestId>(owner);
        for (std::int32_t i = 0; i < 45; ++i) {  // all prompts begin like this
            request.prompt.push_back(counting::first_filler + i % counting::num_fillers);
        }
        std::vector<TokenId> numbers(counting::range);
        std::iota(numbers.begin(), numbers.end(), owner * counting::range);
        std::ranges::shuffle(numbers, random);
        request.prompt.insert(request.prompt.end(), numbers.begin(), numbers.end());
        request.max_tokens = 5 * counting::range;
        request.sampling.temperature = owner % 2 == 0 ? 0.0F : 0.3F;
        request.sampling.num_logprobs = 0;
        request.ignore_eos = true;
        request.principal.id = static_cast<std::uint64_t>(owner / 8);
        auto& tokens = expected.emplace_back();
        for (std::int32_t i = 1; i <= request.max_tokens; ++i) {
            tokens.push_back(owner * counting::range + (numbers.back() + i) % counting::range);
        }
        run.submit(std::move(request));
        run.step();
    }
    run.run();

    std::int32_t num_clean = 0;
    float least_sure = 0;
    for (std::int32_t owner = 0; owner < counting::num_owners; ++owner) {
        BOOST_TEST_CONTEXT("owner " << owner) {
            const Answer& answer = run.answers[{static_cast<RequestId>(owner), 0}];
            const auto& tokens = expected[static_cast<std::size_t>(owner)];
            BOOST_TEST(answer.tokens == tokens, boost::test_tools::per_element());
            BOOST_REQUIRE(answer.logprobs.size() == tokens.size());
            for (const TokenLogprob& drawn : answer.logprobs) {
                BOOST_TEST(drawn.token / counting::range == owner, "a number of another request");
                least_sure = std::min(least_sure, drawn.logprob);
            }
            num_clean += answer.tokens == tokens ? 1 : 0;
        }
    }
    const EngineSnapshot& snapshot = run.snapshot();
    BOOST_TEST_MESSAGE(run.num_steps << " steps, " << snapshot.num_preemptions << " preemptions, "
                                     << snapshot.prefix_cache_hits << " cached, "
                                     << snapshot.accepted_draft_tokens << " drafts, least sure "
                                     << least_sure);
    BOOST_TEST(num_clean == 64);
    BOOST_TEST(least_sure > counting::sure_logprob);
    BOOST_TEST(snapshot.num_preemptions >= 74);
    BOOST_TEST(snapshot.prefix_cache_hits > 0);
    BOOST_TEST(snapshot.accepted_draft_tokens > 0);
    BOOST_TEST(snapshot.num_free_blocks == options.num_blocks);
}

// Runs sixty-four requests on the demonstration model, which knows sixty-four products. Each answer repeats
// its question, so that an answer to another question is recognised.
BOOST_AUTO_TEST_CASE(sixty_four_products_are_correct) {
    CpuBackend backend = make_backend();
    const SchedulerOptions options = tight_options(backend, 16, 32, 24);
    EngineRun run(backend, demo().tokenizer, options);
    std::vector<std::string> expected;
    for (std::int32_t i = 0; i < 64; ++i) {
        const std::int32_t a = 3 + i / 8;
        const std::int32_t b = 3 + i % 8;
        const std::string question = std::to_string(a) + " * " + std::to_string(b);
        expected.push_back(question + " = " + std::to_string(a * b) + ".");
        Request request;
        request.id = static_cast<RequestId>(i);
        request.prompt =
            demo().encode({{Role::system, "You are a helpful assistant."}, {Role::user, question}});
        request.max_tokens = 40;
        request.sampling.temperature = 0;
        // Each principal arrives when the requests of earlier principals fill the pool.
        request.principal.id = static_cast<std::uint64_t>(i / 8);
        run.submit(std::move(request));
        if (i % 4 == 3) run.step();
    }
    run.run();
    for (std::int32_t i = 0; i < 64; ++i) {
        const Answer& answer = run.answers[{static_cast<RequestId>(i), 0}];
        BOOST_TEST(answer.text == expected[static_cast<std::size_t>(i)]);
        BOOST_TEST((answer.finish == FinishReason::stop));
    }
    BOOST_TEST_MESSAGE(run.snapshot().num_preemptions << " preemptions");
    BOOST_TEST(run.snapshot().num_preemptions >= 1);
    BOOST_TEST(run.snapshot().num_free_blocks == options.num_blocks);
}

// Computes a request of 200 tokens whose answer can be drafted: in chunks of several sizes, with and without
// a cached prefix, with and without drafts, and with and without a preemption in between.
BOOST_AUTO_TEST_CASE(chunks_cache_drafts_and_preemption_change_no_bit) {
    CpuBackend backend = make_backend();
    const auto examples = demo_examples();
    const DemoExample& story = examples[11];
    Request request;
    request.id = 2;
    request.prompt = demo().encode({{Role::user, story.question},
                                    {Role::assistant, story.answer},
                                    {Role::user, examples[3].question},
                                    {Role::assistant, examples[3].answer},
                                    {Role::user, story.question}});
    request.max_tokens = 80;
    request.sampling = {.temperature = 0.6F, .top_p = 0.95F, .num_logprobs = 5, .seed = 17};
    const auto num_prompt_tokens = static_cast<std::int32_t>(request.prompt.size());
    const std::int32_t just_enough = blocks_for(num_prompt_tokens + request.max_tokens - 1);
    const Answer expected = run_alone(backend, request).front();

    for (const std::int32_t budget : {1, 7, 64, 512}) {
        for (const bool cached : {false, true}) {
            for (const bool drafts : {false, true}) {
                // With a budget of one token only one sequence runs. So neither a preemption nor a draft is
                // possible.
                for (const bool preempted : {false, true}) {
                    if (budget == 1 && (preempted || drafts)) continue;
                    SchedulerOptions options = plain_options(backend);
                    options.max_num_batched_tokens = budget;
                    options.prefix_cache = cached;
                    options.max_speculative_step_rows = drafts ? 16 : 0;
                    if (preempted) options.num_blocks = just_enough;
                    BOOST_TEST_CONTEXT("budget " << budget << " cached " << cached << " drafts " << drafts
                                                 << " preempted " << preempted) {
                        EngineRun run(backend, demo().tokenizer, options);
                        if (cached) {
                            Request first = request;
                            first.max_tokens = 1;
                            // This prompt is the request's prompt without the second block. So it has mostly
                            // the same blocks as the request, but at other positions. The request must not
                            // use these cached blocks.
                            first.id = 0;
                            const auto second = first.prompt.begin() + kv_block_size;
                            first.prompt.erase(second, second + kv_block_size);
                            run.submit(first);
                            run.run();
                            first.id = 1;
                            first.prompt = request.prompt;
                            run.submit(first);
                            run.run();
                        }
                        if (preempted) {  // an older sequence grows and preempts the request
                            Request older;
                            older.id = 3;
                            older.prompt = demo().encode(examples[12].question);
                            older.max_tokens = 160;
                            older.sampling.temperature = 0.5F;
                            older.ignore_eos = true;
                            run.submit(std::move(older));
                            run.step();
                        }
                        const std::uint64_t accepted =
                            run.num_steps > 0 ? run.snapshot().accepted_draft_tokens : 0;
                        run.submit(request);
                        while (run.answers[{2, 0}].finish == FinishReason::none) run.step();
                        const Answer& answer = run.answers[{2, 0}];
                        check_same(answer, expected);
                        BOOST_TEST((answer.num_cached_tokens > 0) == cached);
                        BOOST_TEST(run.preempted.contains(2) == preempted);
                        BOOST_TEST((run.snapshot().accepted_draft_tokens > accepted) == drafts);
                    }
                }
            }
        }
    }
}

// Takes a text that the model has generated with log-probabilities as a prompt: the log-probabilities of its
// tokens must have the same bits. The prompt is then computed in chunks of several sizes, beside a sequence
// that preempts it, and with and without tokens to generate.
BOOST_AUTO_TEST_CASE(prompt_logprobs_have_the_bits_of_generated_ones) {
    CpuBackend backend = make_backend();
    const auto examples = demo_examples();
    Request generated;
    generated.id = 1;
    generated.prompt =
        demo().encode({{Role::system, examples[3].answer}, {Role::user, examples[11].question}});
    generated.max_tokens = 60;
    generated.ignore_eos = true;
    generated.sampling = {.temperature = 1.2F, .num_logprobs = 4, .seed = 5};
    const Answer answer = run_alone(backend, generated).front();
    BOOST_REQUIRE(answer.tokens.size() == 60);

    Request scored;
    scored.id = 2;
    scored.prompt = generated.prompt;
    scored.prompt.insert(scored.prompt.end(), answer.tokens.begin(), answer.tokens.end());
    scored.max_tokens = 8;
    scored.sampling = {.temperature = 0, .num_logprobs = 1};
    scored.num_prompt_logprobs = 4;
    const Answer expected = run_alone(backend, scored).front();
    BOOST_REQUIRE(expected.prompt_logprobs.size() == 5 * (scored.prompt.size() - 1));
    const auto tail = std::span(expected.prompt_logprobs).last(answer.logprobs.size());
    for (std::size_t i = 0; i < tail.size(); ++i) {
        BOOST_TEST(same_bits(TokenLogprob{tail[i].token, tail[i].logprob}, answer.logprobs[i]));
        if (i % 5 > 0) BOOST_TEST(tail[i].rank == static_cast<std::int32_t>(i % 5));
    }

    for (const std::int32_t budget : {1, 7, 64, 512}) {
        for (const std::int32_t max_tokens : {0, 8}) {
            for (const bool preempted : {false, true}) {
                // Only one sequence runs with a budget of 1, and 512 tokens are computed in one step.
                if (preempted && (budget == 1 || budget == 512)) continue;
                SchedulerOptions options = plain_options(backend);
                options.max_num_batched_tokens = budget;
                options.prefix_cache = true;
                options.max_speculative_step_rows = 16;
                options.max_num_seqs = 2;
                BOOST_TEST_CONTEXT("budget " << budget << " max_tokens " << max_tokens << " preempted "
                                             << preempted) {
                    EngineRun run(backend, demo().tokenizer, options);
                    Request other;
                    other.prompt = demo().encode(examples[12].question);
                    other.max_tokens = 40;
                    other.sampling.temperature = 0.5F;
                    other.ignore_eos = true;
                    if (preempted) {
                        other.id = 3;
                        run.submit(other);
                        while (run.answers[{3, 0}].tokens.empty()) run.step();
                    }
                    Request request = scored;
                    request.max_tokens = max_tokens;
                    run.submit(request);
                    if (preempted) {  // a principal below its share takes the slot in the middle of the
                                      // prompt
                        while (run.answers[{2, 0}].prompt_logprobs.empty()) run.step();
                        other.id = 4;
                        other.principal.id = 1;
                        run.submit(other);
                    }
                    run.run();
                    const Answer& found = run.answers[{2, 0}];
                    BOOST_TEST(same_bits(found.prompt_logprobs, expected.prompt_logprobs));
                    BOOST_TEST(found.num_cached_tokens == 0);
                    BOOST_TEST(run.preempted.contains(2) == preempted);
                    BOOST_TEST((found.finish == (max_tokens > 0 ? expected.finish : FinishReason::length)));
                    BOOST_TEST(found.tokens == (max_tokens > 0 ? expected.tokens : std::vector<TokenId>{}));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
