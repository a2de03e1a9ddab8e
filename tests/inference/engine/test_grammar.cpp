// Tests the way of a grammar through the engine, with grammars that are functions, on a fake backend.
#include <boost/test/unit_test.hpp>

#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/fake_backend.hpp"
#include "tests/support/scripted_grammar.hpp"

using namespace solard;

namespace {

constexpr TokenId end_token = 2;
constexpr std::int32_t vocab_size = 1000;
using Tokens = std::vector<TokenId>;
using Answered = std::span<const TokenId>;

std::shared_ptr<const Grammar> grammar(ScriptedGrammar::Rule rule) {
    return std::make_shared<ScriptedGrammar>(vocab_size, end_token, std::move(rule));
}

// The words 100 to 104 over and over, and the end after `length` of them.
ScriptedGrammar::Rule cycle(std::size_t length) {
    return [length](Answered answer) -> Tokens {
        if (answer.size() == length) return {end_token};
        return {100 + static_cast<TokenId>(answer.size() % 5)};
    };
}

// Three words are allowed at each place, and the end too from `length` words on.
ScriptedGrammar::Rule choices(std::size_t length) {
    return [length](Answered answer) -> Tokens {
        const auto first = static_cast<TokenId>(100 + answer.size() % 7);
        Tokens allowed{first, first + 300, first + 600};
        if (answer.size() >= length) allowed.push_back(end_token);
        return allowed;
    };
}

Request request(RequestId id, ScriptedGrammar::Rule rule, std::int32_t max_tokens = 60) {
    Request request;
    request.id = id;
    request.prompt = {static_cast<TokenId>(10 + id), 11, 12};
    request.max_tokens = max_tokens;
    request.sampling.seed = id;
    request.grammar = grammar(std::move(rule));
    return request;
}

SchedulerOptions scheduling(std::int32_t max_speculative_step_rows = 0, std::int32_t num_blocks = 64) {
    return {.max_num_seqs = 16,
            .max_num_batched_tokens = 64,
            .num_blocks = num_blocks,
            .max_model_len = 512,
            .eos_token_ids = {end_token},
            .hash_key = {1, 2},
            .max_speculative_step_rows = max_speculative_step_rows};
}

struct Run {
    explicit Run(const SchedulerOptions& options)
        : backend({.capacity = {.num_blocks = options.num_blocks,
                                .max_tokens_per_step = 64,
                                .max_seqs_per_step = 64,
                                .max_model_len = 512}}),
          engine(backend, demo_tokenizer(), options) {}
    const Answer& answer(RequestId id, std::uint32_t choice = 0) { return engine.answers[{id, choice}]; }

    FakeBackend backend;
    EngineRun engine;
};

// Returns true if the rule allows the whole answer, which must not be longer than `limit` tokens.
bool follows(const ScriptedGrammar::Rule& rule, const Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const Tokens allowed = rule(std::span(tokens).first(i));
        if (std::ranges::find(allowed, tokens[i]) == allowed.end()) return false;
    }
    return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(grammar_in_the_engine)

BOOST_AUTO_TEST_CASE(answer_follows_its_grammar_and_stops_where_only_the_end_is_left) {
    Run run(scheduling());
    run.engine.submit(request(1, cycle(12)));
    Request stubborn = request(2, cycle(12));
    stubborn.min_tokens = 40;
    stubborn.ignore_eos = true;
    run.engine.submit(std::move(stubborn));
    run.engine.submit(request(3, cycle(12), 8));
    Request free = request(4, {});
    free.grammar = nullptr;
    run.engine.submit(std::move(free));
    run.engine.run();
    for (const RequestId id : {1U, 2U}) {
        BOOST_TEST(run.answer(id).tokens ==
                       (Tokens{100, 101, 102, 103, 104, 100, 101, 102, 103, 104, 100, 101, end_token}),
                   boost::test_tools::per_element());
        BOOST_TEST((run.answer(id).finish == FinishReason::stop));
        BOOST_TEST(run.answer(id).text.find("</s>") == std::string::npos);
    }
    BOOST_TEST(run.answer(3).tokens.size() == 8U);
    BOOST_TEST((run.answer(3).finish == FinishReason::length));
    // The rows of a request without a grammar are as if it were alone.
    BOOST_TEST(run.answer(4).tokens == fake_reference({14, 11, 12}, 60, {}, {.seed = 4}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(drafts_change_no_answer_and_save_steps) {
    const auto run_with = [](std::int32_t max_speculative_step_rows) {
        auto run = std::make_unique<Run>(scheduling(max_speculative_step_rows));
        run->engine.submit(request(1, cycle(50)));
        run->engine.submit(request(2, choices(30)));
        run->engine.submit(request(3, [](Answered answer) -> Tokens {  // a cycle that breaks off
            if (answer.size() == 23) return {500};
            if (answer.size() == 40) return {end_token};
            return {100 + static_cast<TokenId>(answer.size() % 4)};
        }));
        run->engine.run();
        return run;
    };
    const auto plain = run_with(0);
    const auto drafted = run_with(8);
    for (const RequestId id : {1U, 2U, 3U}) {
        BOOST_TEST(drafted->answer(id).tokens == plain->answer(id).tokens, boost::test_tools::per_element());
        BOOST_TEST((drafted->answer(id).finish == plain->answer(id).finish));
    }
    BOOST_TEST(plain->answer(1).tokens.size() == 51U);
    BOOST_TEST(plain->answer(3).tokens[23] == 500);
    BOOST_TEST(drafted->engine.num_steps < plain->engine.num_steps);
    BOOST_TEST(drafted->engine.snapshot().accepted_draft_tokens > 20U);
}

BOOST_AUTO_TEST_CASE(certain_tokens_are_drafts_and_change_no_answer) {
    // Free places between words that are certain, so that prompt lookup finds nothing.
    const ScriptedGrammar::Rule rule = [](Answered answer) -> Tokens {
        const auto place = static_cast<TokenId>(answer.size());
        if (place == 60) return {end_token};
        if (place % 12 == 11) return {200 + place, 300 + place, 400 + place};
        return {100 + 7 * place};
    };
    const auto run_with = [&](std::int32_t max_speculative_step_rows) {
        auto run = std::make_unique<Run>(scheduling(max_speculative_step_rows));
        for (RequestId id = 1; id <= 2; ++id) {
            Request asked = request(id, rule, 100);
            asked.grammar = std::make_shared<ScriptedGrammar>(vocab_size, end_token, rule, true);
            run->engine.submit(std::move(asked));
        }
        run->engine.run();
        return run;
    };
    const auto plain = run_with(0);
    const auto drafted = run_with(32);
    for (const RequestId id : {1U, 2U}) {
        BOOST_TEST(follows(rule, drafted->answer(id).tokens));
        BOOST_TEST(drafted->answer(id).tokens == plain->answer(id).tokens, boost::test_tools::per_element());
        BOOST_TEST(drafted->answer(id).tokens.size() == 61U);
    }
    BOOST_TEST(plain->engine.num_steps == 61U);
    BOOST_TEST(drafted->engine.num_steps <= 20U);
    const EngineSnapshot end = drafted->engine.snapshot();
    BOOST_TEST(end.accepted_draft_tokens == end.draft_tokens);
}

BOOST_AUTO_TEST_CASE(each_choice_follows_the_grammar_on_its_own_way) {
    Run run(scheduling(8));
    Request several = request(1, choices(20));
    several.num_choices = 5;
    run.engine.submit(std::move(several));
    run.engine.run();
    std::set<Tokens> different;
    for (std::uint32_t choice = 0; choice < 5; ++choice) {
        BOOST_TEST(follows(choices(20), run.answer(1, choice).tokens));
        BOOST_TEST(run.answer(1, choice).tokens.size() > 20U);
        different.insert(run.answer(1, choice).tokens);
    }
    BOOST_TEST(different.size() == 5U);
}

BOOST_AUTO_TEST_CASE(preemption_changes_no_answer) {
    Run roomy(scheduling());
    Run tight(scheduling(0, 6));
    for (Run* const run : {&roomy, &tight}) {
        for (RequestId id = 1; id <= 4; ++id) run->engine.submit(request(id, choices(40)));
        run->engine.run();
    }
    BOOST_TEST(!tight.engine.preempted.empty());
    for (RequestId id = 1; id <= 4; ++id) {
        BOOST_TEST(tight.answer(id).tokens == roomy.answer(id).tokens, boost::test_tools::per_element());
        BOOST_TEST(follows(choices(40), tight.answer(id).tokens));
    }
}

// With drafts, the dead end may lie behind some of them.
BOOST_AUTO_TEST_CASE(dead_end_ends_only_its_own_request) {
    for (const std::int32_t max_speculative_step_rows : {0, 8}) {
        Run run(scheduling(max_speculative_step_rows));
        run.engine.submit(request(1, [](Answered answer) -> Tokens {
            if (answer.size() == 17) return {};
            return {100 + static_cast<TokenId>(answer.size() % 3)};
        }));
        run.engine.submit(request(2, cycle(40)));
        run.engine.run();
        BOOST_TEST((run.answer(1).finish == FinishReason::error));
        BOOST_TEST((run.engine.errors[1] == errc::grammar_dead_end));
        BOOST_TEST(run.answer(1).tokens.size() == 17U);
        BOOST_TEST((run.answer(2).finish == FinishReason::stop));
        BOOST_TEST(run.answer(2).tokens.size() == 41U);
    }
}

BOOST_AUTO_TEST_CASE(stop_rules_of_the_request_hold_too) {
    Run run(scheduling());
    Request with_token = request(1, cycle(40));
    with_token.stop_token_ids = {103};
    run.engine.submit(std::move(with_token));
    run.engine.run();
    BOOST_TEST(run.answer(1).tokens.size() == 4U);
    BOOST_TEST(run.answer(1).matched_stop_token == 103);
}

BOOST_AUTO_TEST_SUITE_END()
