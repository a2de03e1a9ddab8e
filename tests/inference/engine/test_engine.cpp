#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "inference/engine/engine.hpp"
#include "inference/engine/step_budget.hpp"
#include "inference/text/detokenizer.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr TokenId end_token = 2;
constexpr TokenId vocab_size = 2048;

TokenId token_of(std::string_view bytes) {
    for (TokenId token = 0; token < vocab_size; ++token) {
        if (demo_tokenizer().bytes_of(token) == bytes) return token;
    }
    throw std::runtime_error("no token has these bytes");
}

struct Outcome {
    std::string text;
    std::vector<std::string> deltas;
    std::uint32_t num_tokens = 0;
    FinishReason finish = FinishReason::none;
    errc error = errc::backend_failed;
    int num_ends = 0;
};

// Records the reports of the callbacks, which run on the engine thread. The test waits for the reports that
// it needs.
class Inbox {
    template <class F>
    auto with_lock(F f) {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
        return f();
    }
    template <class F>
    auto wait_for(F get) -> typename decltype(get())::value_type {
        std::unique_lock lock(mutex_);
        decltype(get()) value;
        const bool seen = changed_.wait_for(lock, std::chrono::seconds(60), [&] {
            value = get();
            return value.has_value();
        });
        if (!seen) throw std::runtime_error("the engine reported nothing for 60 seconds");
        return *value;
    }

  public:
    EngineCallbacks callbacks() {
        return {.ready = [this](const EngineInfo& info) { with_lock([&] { ready_ = info; }); },
                .publish = [this](StepEvents events) { with_lock([&] { record(std::move(events)); }); },
                .failed =
                    [this](const Error& error) {
                        with_lock([&] {
                            failure_ = error;
                            ++num_failures_;
                        });
                    }};
    }

    EngineInfo wait_until_ready() {
        return wait_for([this] { return ready_; });
    }
    Error wait_until_failed() {
        return wait_for([this] { return failure_; });
    }
    Outcome wait_for_end(RequestId id) {
        return wait_for([this, id]() -> std::optional<Outcome> {
            const auto found = outcomes_.find(id);
            if (found == outcomes_.end() || found->second.num_ends == 0) return std::nullopt;
            return found->second;
        });
    }
    void wait_for_tokens(RequestId id, std::uint32_t count) {
        wait_for([this, id, count]() -> std::optional<bool> {
            if (outcomes_[id].num_tokens < count) return std::nullopt;
            return true;
        });
    }

    Outcome outcome(RequestId id) {
        return with_lock([&] { return outcomes_[id]; });
    }
    std::uint64_t num_publishes() {
        return with_lock([&] { return num_publishes_; });
    }
    int num_failures() {
        return with_lock([&] { return num_failures_; });
    }
    EngineSnapshot snapshot() {
        return with_lock([&] { return snapshot_; });
    }
    std::set<const char*> buffers_seen() {
        return with_lock([&] { return buffers_; });
    }
    std::vector<StepEvents> take_used() {
        return with_lock([&] { return std::exchange(used_, {}); });
    }

  private:
    void record(StepEvents events) {
        ++num_publishes_;
        snapshot_ = events.snapshot;
        for (const StepEvent& event : events.events) {
            Outcome& outcome = outcomes_[event.id];
            outcome.text += events.text_of(event);
            outcome.deltas.emplace_back(events.text_of(event));
            outcome.num_tokens += event.num_tokens;
            if (outcome.num_ends > 0 || event.finish != FinishReason::none) ++outcome.num_ends;
            outcome.finish = event.finish;
            outcome.error = event.error;
        }
        buffers_.insert(reinterpret_cast<const char*>(events.events.data()));
        used_.push_back(std::move(events));
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<EngineInfo> ready_;
    std::optional<Error> failure_;
    int num_failures_ = 0;
    std::uint64_t num_publishes_ = 0;
    EngineSnapshot snapshot_;
    std::map<RequestId, Outcome> outcomes_;
    std::set<const char*> buffers_;
    std::vector<StepEvents> used_;
};

struct Fixture {
    std::shared_ptr<FakeControl> control = std::make_shared<FakeControl>();
    FakeOptions fake{.vocab_size = vocab_size};
    EngineOptions options{.max_num_seqs = 16, .max_num_batched_tokens = 64, .eos_token_ids = {end_token}};
    Inbox inbox;
    std::unique_ptr<Engine> engine;

    ~Fixture() { control->open_gate(); }  // the engine's destructor waits for the blocked step

    void start() {
        start([fake = fake, control = control] { return std::make_unique<FakeBackend>(fake, control); });
    }
    void start(BackendFactory factory) {
        engine = std::make_unique<Engine>(std::move(factory), demo_tokenizer(), options, inbox.callbacks());
    }

    static Request request(RequestId id, std::int32_t max_tokens, std::vector<std::string> stop = {}) {
        Request request;
        request.id = id;
        request.prompt = {1, static_cast<TokenId>(id % vocab_size), 9};
        request.max_tokens = max_tokens;
        request.stop = std::move(stop);
        return request;
    }
    bool submit(RequestId id, std::int32_t max_tokens, std::vector<std::string> stop = {}) const {
        return engine->submit(request(id, max_tokens, std::move(stop)));
    }

    // Makes the model answer a prompt of request() with the tokens of `answer`.
    void script_answer(std::vector<TokenId> answer) {
        fake.script = [answer](std::span<const TokenId> context) -> std::optional<SampledToken> {
            return SampledToken{.token = answer.at(context.size() - 3)};
        };
    }

    std::string reference_text(RequestId id, std::int32_t max_tokens) const {
        std::string text;
        Detokenizer detokenizer;
        for (const TokenId token : fake_reference(request(id, 1).prompt, max_tokens, fake)) {
            detokenizer.append(demo_tokenizer().bytes_of(token), text);
        }
        detokenizer.flush(text);
        return text;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(engine, Fixture)

BOOST_AUTO_TEST_CASE(one_request_returns_the_serial_text_with_one_publish_per_step) {
    start();
    BOOST_TEST(inbox.wait_until_ready().max_num_batched_tokens == 64);
    BOOST_TEST(submit(1, 20));
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST(outcome.text == reference_text(1, 20));
    BOOST_TEST(outcome.num_tokens == 20U);
    BOOST_TEST((outcome.finish == FinishReason::length));
    BOOST_TEST(control->steps() == 20U);
    BOOST_TEST(inbox.num_publishes() == 20U);
    BOOST_TEST(inbox.snapshot().steps == 20U);
    BOOST_TEST(inbox.snapshot().generated_tokens == 20U);
    BOOST_TEST(inbox.snapshot().num_free_blocks == inbox.snapshot().num_blocks);
    BOOST_TEST(engine->activity().progress == 40U);
}

BOOST_AUTO_TEST_CASE(activity_distinguishes_a_blocked_step_from_an_idle_engine) {
    control->close_gate();
    start();
    inbox.wait_until_ready();
    submit(1, 2);
    control->wait_until_held();
    const EngineActivity held = engine->activity();
    BOOST_TEST(held.busy);
    control->pass_one();
    control->wait_until_held();
    BOOST_TEST(engine->activity().progress > held.progress);
    control->open_gate();
    inbox.wait_for_end(1);
    int looks = 0;
    while (engine->activity().busy) BOOST_REQUIRE(++looks < 100'000'000);
}

BOOST_AUTO_TEST_CASE(requests_join_and_leave_at_every_step) {
    control->close_gate();
    start();
    for (RequestId id = 1; id <= 10; ++id) {
        submit(id, 3);
        control->pass_one();
    }
    control->open_gate();
    for (RequestId id = 1; id <= 10; ++id) BOOST_TEST(inbox.wait_for_end(id).text == reference_text(id, 3));
}

BOOST_AUTO_TEST_CASE(many_requests_in_a_small_pool_return_their_serial_texts) {
    fake.capacity.num_blocks = 16;
    fake.capacity.max_model_len = 128;
    start();
    for (RequestId id = 1; id <= 60; ++id) submit(id, 10 + static_cast<std::int32_t>(id));
    for (RequestId id = 1; id <= 60; ++id) {
        const Outcome outcome = inbox.wait_for_end(id);
        BOOST_TEST(outcome.text == reference_text(id, 10 + static_cast<std::int32_t>(id)));
        BOOST_TEST(outcome.num_tokens == 10 + id);
        BOOST_TEST(outcome.num_ends == 1);
        for (StepEvents& events : inbox.take_used()) engine->recycle(std::move(events));
    }
    BOOST_TEST(inbox.snapshot().num_preemptions > 0U);
    BOOST_TEST(inbox.snapshot().num_free_blocks == 16);
    BOOST_TEST(control->max_tokens_of_a_step() <= 64);
}

BOOST_AUTO_TEST_CASE(a_cancel_takes_effect_within_one_step) {
    control->close_gate();
    start();
    submit(1, 100);
    submit(2, 5);
    control->pass_one();
    inbox.wait_for_tokens(1, 1);
    control->wait_until_held();
    engine->cancel(1);
    control->open_gate();
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST((outcome.finish == FinishReason::cancelled));
    BOOST_TEST(outcome.num_tokens == 2U);  // one token of the completed step, one of the step in flight
    BOOST_TEST(inbox.wait_for_end(2).text == reference_text(2, 5));
    BOOST_TEST(inbox.outcome(1).num_ends == 1);
}

BOOST_AUTO_TEST_CASE(a_cancel_of_an_ended_or_unknown_request_is_ignored) {
    start();
    submit(1, 2);
    inbox.wait_for_end(1);
    engine->cancel(1);
    engine->cancel(99);
    submit(2, 2);
    inbox.wait_for_end(2);
    BOOST_TEST(inbox.outcome(1).num_ends == 1);
    BOOST_TEST(inbox.outcome(99).num_ends == 0);
}

BOOST_AUTO_TEST_CASE(no_part_of_a_stop_string_across_tokens_is_sent) {
    script_answer({token_of("a"), token_of("b"), token_of("c"), token_of("d"), token_of("e")});
    start();
    submit(1, 5, {"bcd"});
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST(outcome.text == "a");
    BOOST_TEST((outcome.deltas == std::vector<std::string>{"a", "", "", ""}));
    BOOST_TEST((outcome.finish == FinishReason::stop));
    BOOST_TEST(outcome.num_tokens == 4U);
}

BOOST_AUTO_TEST_CASE(text_held_back_for_a_stop_string_is_sent_if_the_string_does_not_follow) {
    script_answer({token_of("a"), token_of("b"), token_of("c"), token_of("b")});
    start();
    submit(1, 4, {"bx"});
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST((outcome.deltas == std::vector<std::string>{"a", "", "bc", "b"}));
    BOOST_TEST((outcome.finish == FinishReason::length));
}

BOOST_AUTO_TEST_CASE(an_end_of_sequence_token_adds_no_text_and_releases_held_text) {
    script_answer({token_of("a"), token_of("b"), end_token});
    start();
    submit(1, 3, {"bx"});
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST(outcome.text == "ab");
    BOOST_TEST((outcome.finish == FinishReason::stop));  // although max_tokens is reached as well
    BOOST_TEST(outcome.num_tokens == 3U);
}

BOOST_AUTO_TEST_CASE(special_tokens_are_text_only_if_the_request_does_not_skip_them) {
    constexpr TokenId bos = 1;
    script_answer({token_of("a"), bos, token_of("b"), end_token});
    start();
    Request shown = request(1, 4);
    shown.skip_special_tokens = false;
    BOOST_TEST(engine->submit(shown));
    BOOST_TEST(inbox.wait_for_end(1).text == "a<s>b");  // the token that ends the answer adds no text
    submit(2, 4);
    BOOST_TEST(inbox.wait_for_end(2).text == "ab");
}

BOOST_AUTO_TEST_CASE(only_whole_characters_are_sent) {
    script_answer({token_of("\xC3"), token_of("\xA9"), token_of("a"), token_of("\xE2")});
    start();
    submit(1, 4);
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST((outcome.deltas == std::vector<std::string>{"", "\xC3\xA9", "a", "\xEF\xBF\xBD"}));
}

BOOST_AUTO_TEST_CASE(a_row_that_is_not_finite_ends_only_its_own_request) {
    fake.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
        if (context[1] != 2 || context.size() < 6) return std::nullopt;
        return SampledToken{.token = 77, .finite = false};
    };
    start();
    for (RequestId id = 1; id <= 3; ++id) submit(id, 10);
    const Outcome outcome = inbox.wait_for_end(2);
    BOOST_TEST((outcome.finish == FinishReason::error));
    BOOST_TEST((outcome.error == errc::numerical_error));
    BOOST_TEST(outcome.num_tokens == 3U);
    fake.script = {};
    for (const RequestId id : {1, 3}) BOOST_TEST(inbox.wait_for_end(id).text == reference_text(id, 10));
}

BOOST_AUTO_TEST_CASE(a_backend_failure_ends_each_request_once_and_then_the_engine) {
    control->fail_at_step(3);
    control->close_gate();
    options.max_num_seqs = 2;
    start();
    for (RequestId id = 1; id <= 3; ++id) submit(id, 100);  // requests 1 and 2 run, request 3 waits
    control->pass_one();
    inbox.wait_for_tokens(1, 1);
    control->pass_one();
    inbox.wait_for_tokens(1, 2);
    control->wait_until_held();
    BOOST_TEST(submit(4, 5));  // request 4 is still in the queue when the backend fails
    control->open_gate();

    const Error error = inbox.wait_until_failed();
    BOOST_TEST((error.code == errc::backend_failed));
    BOOST_TEST(error.message.find("the fake device was lost") != std::string::npos);
    for (RequestId id = 1; id <= 4; ++id) {
        const Outcome outcome = inbox.outcome(id);
        BOOST_TEST((outcome.finish == FinishReason::error));
        BOOST_TEST((outcome.error == errc::engine_unavailable));
        BOOST_TEST(outcome.num_ends == 1);
    }
    BOOST_TEST(inbox.outcome(1).num_tokens <= 2U);  // the failed step adds no token
    BOOST_TEST(!submit(5, 5));
    engine->cancel(1);
    engine.reset();
    BOOST_TEST(inbox.num_failures() == 1);
}

BOOST_AUTO_TEST_CASE(the_error_of_a_backend_that_cannot_be_made_is_reported) {
    start([]() -> std::unique_ptr<Backend> {
        throw ErrorException({errc::bad_model, "model.safetensors: truncated"});
    });
    const Error error = inbox.wait_until_failed();
    BOOST_TEST((error.code == errc::bad_model));
    BOOST_TEST(error.message == "model.safetensors: truncated");
    BOOST_TEST(!submit(1, 5));
    BOOST_TEST(engine->activity().progress == 0U);
}

BOOST_AUTO_TEST_CASE(a_request_accepted_before_the_backend_fails_to_load_is_ended) {
    std::promise<void> submitted;
    start([&]() -> std::unique_ptr<Backend> {
        submitted.get_future().wait();
        throw std::bad_alloc();
    });
    BOOST_TEST(submit(1, 5));
    submitted.set_value();
    BOOST_TEST((inbox.wait_until_failed().code == errc::backend_failed));
    BOOST_TEST((inbox.outcome(1).error == errc::engine_unavailable));
    BOOST_TEST(inbox.outcome(1).num_ends == 1);
}

BOOST_AUTO_TEST_CASE(a_pool_smaller_than_one_sequence_is_refused_with_both_options_named) {
    fake.capacity.num_blocks = 31;
    start();
    const Error error = inbox.wait_until_failed();
    BOOST_TEST((error.code == errc::bad_configuration));
    BOOST_TEST(error.message.find("--kv-cache-memory") != std::string::npos);
    BOOST_TEST(error.message.find("--max-model-len") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_full_queue_refuses_requests_but_drops_no_cancel) {
    options.command_queue_capacity = 2;
    control->close_gate();
    start();
    BOOST_TEST(submit(1, 100));
    control->wait_until_held();
    BOOST_TEST(submit(2, 3));
    BOOST_TEST(submit(3, 3));
    BOOST_TEST(!submit(4, 3));
    engine->cancel(1);
    engine->cancel(3);
    control->open_gate();
    BOOST_TEST((inbox.wait_for_end(1).finish == FinishReason::cancelled));
    BOOST_TEST((inbox.wait_for_end(3).finish == FinishReason::cancelled));
    BOOST_TEST(inbox.wait_for_end(2).text == reference_text(2, 3));
    BOOST_TEST(submit(5, 3));
    BOOST_TEST(inbox.wait_for_end(5).text == reference_text(5, 3));
    BOOST_TEST(inbox.outcome(4).num_ends == 0);
}

BOOST_AUTO_TEST_CASE(an_idle_engine_does_nothing_and_wakes_up) {
    start();
    for (RequestId id = 1; id <= 20; ++id) {
        submit(id, 2);
        inbox.wait_for_end(id);
    }
    BOOST_TEST(control->steps() == 40U);
    BOOST_TEST(inbox.num_publishes() == 40U);
}

BOOST_AUTO_TEST_CASE(a_request_longer_than_the_context_ends_without_a_step) {
    start();
    submit(1, 510);
    const Outcome outcome = inbox.wait_for_end(1);
    BOOST_TEST((outcome.error == errc::context_length_exceeded));
    BOOST_TEST(control->steps() == 0U);
    BOOST_TEST(inbox.num_publishes() == 1U);
}

BOOST_AUTO_TEST_CASE(a_request_past_its_deadline_ends_with_an_error) {
    start();
    Request late = request(1, 5);
    late.queue_deadline = Clock::now() - milliseconds(1);
    engine->submit(std::move(late));
    BOOST_TEST((inbox.wait_for_end(1).error == errc::queue_timeout));
}

BOOST_AUTO_TEST_CASE(destruction_with_running_requests_reports_no_failure) {
    start();
    for (RequestId id = 1; id <= 5; ++id) submit(id, 500);
    inbox.wait_for_tokens(1, 1);
    engine.reset();
    BOOST_TEST(inbox.num_failures() == 0);
}

BOOST_AUTO_TEST_CASE(recycled_event_vectors_are_reused) {
    control->close_gate();
    start();
    submit(1, 50);
    for (std::uint32_t i = 1; i <= 50; ++i) {
        control->pass_one();
        inbox.wait_for_tokens(1, i);
        for (StepEvents& events : inbox.take_used()) engine->recycle(std::move(events));
    }
    inbox.wait_for_end(1);
    BOOST_TEST(inbox.buffers_seen().size() <= 4U);
}

BOOST_AUTO_TEST_CASE(the_step_budget_is_measured_at_start) {
    options.max_num_batched_tokens = 0;
    start();
    const std::int32_t budget = inbox.wait_until_ready().max_num_batched_tokens;
    BOOST_TEST(budget % 16 == 0);
    BOOST_TEST(budget >= 16);
    BOOST_TEST(budget <= 512);
    submit(1, 5);
    BOOST_TEST(inbox.wait_for_end(1).text == reference_text(1, 5));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(step_budget)

BOOST_AUTO_TEST_CASE(a_step_takes_no_more_than_a_quarter_of_a_second) {
    const auto linear = [](milliseconds per_token) {
        return [=](std::int32_t num_tokens) -> nanoseconds { return num_tokens * per_token; };
    };
    BOOST_TEST(choose_step_budget(512, linear(milliseconds(1))) == 240);
    BOOST_TEST(choose_step_budget(512, linear(milliseconds(10))) == 16);
    BOOST_TEST(choose_step_budget(512, linear(milliseconds(100))) == 16);
    BOOST_TEST(choose_step_budget(512, linear(milliseconds(0))) == 512);
    BOOST_TEST(choose_step_budget(500, linear(milliseconds(0))) == 496);
    BOOST_TEST(choose_step_budget(7, linear(milliseconds(1))) == 7);
}

BOOST_AUTO_TEST_CASE(the_first_step_is_not_measured) {
    int steps = 0;
    const auto cold_first = [&](std::int32_t) -> nanoseconds {
        return ++steps == 1 ? milliseconds(5000) : milliseconds(1);
    };
    BOOST_TEST(choose_step_budget(512, cold_first) == 512);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
