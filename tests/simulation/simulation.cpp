#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "inference/engine/engine_core.hpp"
#include "tests/simulation/reference.hpp"
#include "tests/simulation/seeded_random.hpp"
#include "tests/support/demo_tokenizer.hpp"

namespace solard {
namespace {

using std::chrono::milliseconds;
using Phase = ProgressEvent::Phase;
using SequenceKey = std::pair<RequestId, std::uint32_t>;  // request and choice

constexpr TokenId end_token = 2;
constexpr TokenId poison = 7;  // the logits after this token are not finite
constexpr TokenId parrot = 9;  // if a prompt begins with this token, its answer mostly repeats itself
constexpr TokenId first_word = 20;
constexpr TokenId vocab_size = 2048;

// Passes all calls to a FakeBackend. Shows the batch to the simulation while the step is in flight.
class WatchedBackend final : public Backend {
  public:
    WatchedBackend(FakeOptions options, std::shared_ptr<FakeControl> control)
        : fake_(std::move(options), std::move(control)) {}

    BackendCapacity capacity() const override { return fake_.capacity(); }
    std::string description() const override { return fake_.description(); }
    void submit(const ForwardBatch& batch) override {
        fake_.submit(batch);
        batch_ = &batch;
    }
    void sample(std::span<const std::uint32_t> masks) override { fake_.sample(masks); }
    void collect(StepResults& results) override {
        in_flight(*batch_);
        fake_.collect(results);
    }

    std::function<void(const ForwardBatch&)> in_flight;

  private:
    FakeBackend fake_;
    const ForwardBatch* batch_ = nullptr;
};

struct Machine {
    SchedulerOptions options;
    int num_principals = 1;
    int num_salts = 1;
    std::optional<std::uint64_t> fails_at_step;
};

// The expected and the reported answer of one choice of one request.
struct Choice {
    Expected expected;
    std::vector<RankedLogprob> prompt_logprobs = {};
    std::vector<TokenId> tokens = {};
    std::string text = {};
    FinishReason finish = FinishReason::none;
    errc error = errc::backend_failed;
};

struct Tracked {
    Request request;
    std::vector<Choice> choices;
    std::optional<std::uint64_t> cancelled_in;  // the step in which the request was cancelled
    bool was_admitted = false;
    std::size_t own_started = 0;      // starts of the same principal's requests, while this request waited
    std::size_t others_admitted = 0;  // admissions of other principals, while this request waited

    bool ended() const {
        return std::ranges::all_of(choices, [](const Choice& c) { return c.finish != FinishReason::none; });
    }
};

class Simulation {
  public:
    explicit Simulation(std::uint64_t seed)
        : random_(seed),
          machine_(draw_machine()),
          model_(draw_model()),
          control_(std::make_shared<FakeControl>()),
          backend_(model_, control_),
          core_(backend_, demo_tokenizer(), machine_.options, [this] { return now_; }) {
        backend_.in_flight = [this](const ForwardBatch& batch) { check_batch(batch); };
        if (machine_.fails_at_step) control_->fail_at_step(*machine_.fails_at_step);
        for (int i = 0; i < 3; ++i) stems_.push_back(draw_tokens(machine_.options.max_model_len));
    }

    SimulationResult run() {
        const int num_requests = random_.between(1, 30);
        bool failed = false;
        while (!failed && (std::cmp_less(tracked_.size(), num_requests) || core_.has_work())) {
            require(++step_ < 50'000, 0, "the engine does not finish its requests");
            const int arrivals = random_.chance(0.3) ? random_.between(0, 5) : 0;
            for (int i = 0; i < arrivals && std::cmp_less(tracked_.size(), num_requests); ++i) submit();
            cancel_one(0.05);
            failed = core_.has_work() && !step();
            cancel_one(0.02);
            now_ += milliseconds(1);
        }
        check_end();
        return result_;
    }

  private:
    Machine draw_machine() {
        Machine machine;
        SchedulerOptions& options = machine.options;
        options.num_blocks = random_.chance(0.05) ? random_.between(1024, 4096)
                                                  : random_.between(4, random_.chance(0.5) ? 8 : 40);
        options.max_num_batched_tokens = random_.between(1, random_.chance(0.5) ? 8 : 200);
        options.max_num_seqs = random_.between(1, 10);
        options.max_model_len = std::min(options.num_blocks * kv_block_size, 160);
        options.eos_token_ids = {end_token};
        options.prefix_cache = random_.chance(0.75);
        options.hash_key = {random_(), random_()};
        if (random_.chance(0.5)) options.max_speculative_step_rows = random_.between(1, 16);
        machine.num_principals = random_.between(1, 5);
        machine.num_salts = random_.between(1, 2);
        if (random_.chance(0.05)) machine.fails_at_step = static_cast<std::uint64_t>(random_.between(1, 100));
        return machine;
    }

    FakeOptions draw_model() {
        FakeOptions model;
        model.first_token = first_word;
        model.vocab_size = vocab_size;
        model.capacity = {.num_blocks = machine_.options.num_blocks,
                          .max_tokens_per_step = machine_.options.max_num_batched_tokens,
                          .max_seqs_per_step = machine_.options.max_num_seqs,
                          .max_model_len = machine_.options.max_model_len};
        model.script = [](std::span<const TokenId> context) -> std::optional<SampledToken> {
            if (context.back() == poison) return SampledToken{.token = -1, .finite = false};
            std::uint64_t hash = 0xcbf29ce484222325;
            for (const TokenId token : context) {
                hash = (hash ^ static_cast<std::uint64_t>(token)) * 0x100000001b3;
            }
            hash ^= hash >> 29;
            if (hash % 40 == 0) return SampledToken{.token = end_token};
            if (hash % 300 == 1) return SampledToken{.token = poison};
            if (context.front() == parrot && context.size() > 5 && hash % 8 != 0) {
                return SampledToken{.token = context[context.size() - 5]};
            }
            return std::nullopt;
        };
        return model;
    }

    std::vector<TokenId> draw_tokens(int count) {
        std::vector<TokenId> tokens;
        for (int i = 0; i < count; ++i) tokens.push_back(random_.between(first_word, vocab_size - 1));
        return tokens;
    }

    // Returns a prompt that often begins like other prompts.
    std::vector<TokenId> draw_prompt() {
        const int longest = machine_.options.max_model_len - 1;
        const int edges[] = {1, kv_block_size - 1, kv_block_size, kv_block_size + 1, longest};
        const int length = std::min(
            random_.chance(0.4) ? edges[random_.between(0, 4)] : random_.between(1, longest), longest);
        std::vector<TokenId> prompt = draw_tokens(length);
        if (random_.chance(0.6)) {
            const auto& stem = stems_[static_cast<std::size_t>(random_.between(0, 2))];
            std::copy_n(stem.begin(), random_.between(0, length), prompt.begin());
            // Sometimes the first block is another one, so that the same block follows different blocks.
            const auto& other = stems_[static_cast<std::size_t>(random_.between(0, 2))];
            if (random_.chance(0.2))
                std::copy_n(other.begin(), std::min(length, kv_block_size), prompt.begin());
        }
        if (random_.chance(0.3)) prompt.front() = parrot;
        return prompt;
    }

    void submit() {
        Request request;
        request.id = next_id_++;
        request.prompt = draw_prompt();
        const int tokens_left = machine_.options.max_model_len - static_cast<int>(request.prompt.size());
        request.max_tokens = random_.between(1, tokens_left);
        if (random_.chance(0.05)) request.max_tokens = 0;
        if (random_.chance(0.15)) ask_for_prompt_logprobs(request);
        const std::int32_t slots = max_running(machine_.options);
        if (random_.chance(0.25))
            request.num_choices = static_cast<std::uint32_t>(random_.between(1, std::min(slots, 8)));
        request.sampling = {.seed = random_(), .choice = 0};
        if (random_.chance(0.2)) request.min_tokens = random_.between(0, request.max_tokens);
        request.ignore_eos = random_.chance(0.2);
        if (random_.chance(0.2)) request.stop_token_ids = draw_tokens(40);
        for (int i = random_.chance(0.3) ? random_.between(1, 3) : 0; i > 0; --i)
            request.stop.push_back(draw_stop());
        request.principal = {.id = static_cast<std::uint64_t>(random_.between(1, machine_.num_principals))};
        request.principal.weight = 1 + static_cast<std::int32_t>(request.principal.id % 3);
        if (random_.chance(0.2)) request.priority = random_.between(-1, 1);
        request.cache_salt = static_cast<std::uint64_t>(random_.between(1, machine_.num_salts));
        if (random_.chance(0.1)) request.queue_deadline = now_ + milliseconds(random_.between(0, 60));
        if (random_.chance(0.1)) request.request_deadline = now_ + milliseconds(random_.between(0, 120));
        track(request);
        core_.submit(std::move(request));
    }

    void ask_for_prompt_logprobs(Request& request) {
        request.num_prompt_logprobs = random_.chance(0.9) ? random_.between(0, 3) : max_top_logprobs;
        if (random_.chance(0.3)) request.max_tokens = 0;
        if (random_.chance(0.1)) {
            const int last = static_cast<int>(request.prompt.size()) - 1;
            request.prompt[static_cast<std::size_t>(random_.between(0, last))] = poison;
        }
    }

    // Returns a stop string of only one or two letters, so that it is likely to occur in a random text.
    std::string draw_stop() {
        std::string stop;
        for (int i = random_.between(1, 2); i > 0; --i) stop += static_cast<char>(random_.between('a', 'z'));
        return stop;
    }

    void track(const Request& request) {
        Tracked tracked;
        tracked.request = request;
        for (std::uint32_t choice = 0; choice < request.num_choices; ++choice) {
            tracked.choices.push_back({.expected = expected_output(request, choice, model_, demo_tokenizer(),
                                                                   machine_.options.eos_token_ids)});
        }
        result_.requests += 1;
        result_.forks += request.num_choices - 1;
        tracked_.emplace(request.id, std::move(tracked));
    }

    // Returns whether `a`, which arrived first, must be admitted before `b`.
    static bool is_before(const Request& a, const Request& b) {
        return a.principal.id == b.principal.id && a.priority <= b.priority;
    }

    void cancel_one(double probability) {
        if (tracked_.empty() || !random_.chance(probability)) return;
        const auto id = static_cast<RequestId>(random_.between(1, static_cast<int>(tracked_.size())));
        core_.cancel(id);
        Tracked& tracked = tracked_.at(id);
        if (!tracked.ended() && !tracked.cancelled_in) tracked.cancelled_in = step_;
    }

    // Is called while the step is in flight.
    void check_batch(const ForwardBatch& batch) {
        require(batch.num_tokens() <= machine_.options.max_num_batched_tokens, 0,
                "a step exceeds its budget");
        core_.check_integrity();
        cancel_one(0.05);
        core_.check_integrity();
    }

    // Returns false if the backend has failed. All requests have ended in this case.
    bool step() {
        StepEvents events;
        try {
            core_.step(events);
        } catch (const std::runtime_error& e) {
            if (!machine_.fails_at_step || control_->steps() != *machine_.fails_at_step) throw;
            core_.abort(errc::engine_unavailable, events);
            record(events);
            return false;
        }
        record(events);
        core_.check_integrity();
        for (const auto& [id, tracked] : tracked_) {
            require(!tracked.cancelled_in || tracked.ended() || *tracked.cancelled_in == step_, id,
                    "did not end in the step after its cancel");
        }
        return true;
    }

    void record(const StepEvents& events) {
        // The principals that have a request whose prompt is being computed. All other requests of such a
        // principal must wait for this prompt.
        std::set<std::uint64_t> prefilling;
        for (const auto& [sequence, phase] : phases_) {
            const Tracked& tracked = tracked_.at(sequence.first);
            if (phase == Phase::prefill && !tracked.ended()) prefilling.insert(tracked.request.principal.id);
        }
        const auto oldest = oldest_running();
        std::set<RequestId> started;
        for (const ProgressEvent& progress : events.progress) {
            auto& phase = phases_[{progress.id, progress.choice}];
            const bool waited = phase == Phase::queued || phase == Phase::preempted;
            const bool runs = progress.phase == Phase::prefill || progress.phase == Phase::decoding;
            // A request that was admitted and preempted in the same step counts as started, too.
            const bool had_turn = phase == Phase::queued && progress.phase == Phase::preempted;
            phase = progress.phase;
            if (progress.phase == Phase::preempted) note_preemption(tracked_.at(progress.id));
            if ((waited && runs) || had_turn) started.insert(progress.id);
            mix(progress.id * 4 + static_cast<std::uint64_t>(progress.phase));
            mix(static_cast<std::uint64_t>(progress.done));
        }
        for (const StepEvent& event : events.events) {
            // A sequence that starts and ends in the same step publishes no progress.
            const auto phase = phases_.find({event.id, event.choice});
            const bool waited = phase == phases_.end()
                                    ? event.choice == 0
                                    : phase->second == Phase::queued || phase->second == Phase::preempted;
            const bool has_run =
                event.num_tokens > 0 || event.num_prompt_logprobs > 0 || event.finish != FinishReason::none;
            require(has_run, event.id, "an event that says nothing");
            if (has_run && waited) started.insert(event.id);
            record_event(events, event, tracked_.at(event.id));
        }
        const EngineSnapshot& snapshot = events.snapshot;
        const bool was_preempted = oldest && phases_.at(*oldest) == Phase::preempted;
        require(!was_preempted || (!started.empty() && *started.begin() <= oldest->first),
                oldest ? oldest->first : 0, "was preempted though it was the oldest");
        note_starts(started, prefilling, snapshot.num_preemptions > result_.preemptions);
        require(snapshot.generated_tokens == num_tokens_, 0, "generated_tokens is not what was published");
        require(snapshot.num_free_blocks <= snapshot.num_blocks, 0, "more blocks are free than exist");
        result_.steps = snapshot.steps;
        result_.preemptions = snapshot.num_preemptions;
        result_.accepted_drafts = snapshot.accepted_draft_tokens;
    }

    void note_preemption(const Tracked& tracked) {
        const Choice& first = tracked.choices.front();
        if (first.prompt_logprobs.empty() || !first.tokens.empty()) return;
        ++result_.preempted_while_scored;
    }

    std::optional<SequenceKey> oldest_running() const {
        for (const auto& [key, phase] : phases_) {  // in the order of arrival
            const bool runs = phase == Phase::prefill || phase == Phase::decoding;
            if (runs && tracked_.at(key.first).choices.at(key.second).finish == FinishReason::none)
                return key;
        }
        return std::nullopt;
    }

    // `started`: requests that began to run in this step, for the first time or again after a preemption, or
    // that ended while they waited.
    void note_starts(const std::set<RequestId>& started, const std::set<std::uint64_t>& prefilling,
                     bool preempted) {
        std::vector<RequestId> admitted;
        for (const RequestId id : started) {
            Tracked& tracked = tracked_.at(id);
            const Choice& first = tracked.choices.front();
            const bool ran =
                !tracked.ended() || !first.tokens.empty() || first.finish == FinishReason::length;
            if (ran && !std::exchange(tracked.was_admitted, true)) admitted.push_back(id);
        }
        for (auto& [id, waiting] : tracked_) {
            if (waiting.was_admitted || waiting.ended()) continue;
            const std::uint64_t principal = waiting.request.principal.id;
            // In a step with a preemption, a request may be admitted out of turn, for its principal's share.
            const bool is_its_turn = !prefilling.contains(principal) && !preempted;
            for (const RequestId other : admitted) {
                const Request& request = tracked_.at(other).request;
                require(id > other || !is_before(waiting.request, request), other,
                        "overtook an older request of its principal");
                if (is_its_turn && request.principal.id != principal) ++waiting.others_admitted;
            }
            for (const RequestId other : started) {
                if (tracked_.at(other).request.principal.id == principal) ++waiting.own_started;
            }
        }
        for (const RequestId id : admitted) {
            const Tracked& request = tracked_.at(id);
            // A round ends when another request of the principal of `request` starts. In each round, two
            // requests of every other principal may be admitted. In addition, each principal may have one
            // request that waits for free slots or blocks. Up to max_running() later requests may overtake
            // that request.
            const auto rounds = request.own_started + 1;
            const auto each = static_cast<std::size_t>(
                2 * (machine_.num_principals - 1) + machine_.num_principals * max_running(machine_.options));
            require(request.others_admitted <= rounds * each, id, "waited for too many others");
        }
    }

    void record_event(const StepEvents& events, const StepEvent& event, Tracked& tracked) {
        const RequestId id = event.id;
        Choice& choice = tracked.choices.at(event.choice);
        require(choice.finish == FinishReason::none, id, "an event after the last one");
        const Expected& expected = choice.expected;
        const auto tokens = events.tokens_of(event);
        choice.tokens.insert(choice.tokens.end(), tokens.begin(), tokens.end());
        choice.text += events.text_of(event);
        record_prompt_logprobs(events.prompt_logprobs_of(event), id, choice);
        choice.finish = event.finish;
        choice.error = event.error;
        num_tokens_ += event.num_tokens;
        require(choice.tokens.size() <= expected.tokens.size() &&
                    std::equal(choice.tokens.begin(), choice.tokens.end(), expected.tokens.begin()),
                id, "tokens differ from the serial reference");
        require(expected.text.starts_with(choice.text), id, "text differs from the serial reference");
        if (event.num_cached_tokens >= 0) check_cached(tracked, event.num_cached_tokens);
        mix(id * 31 + choice.tokens.size());
        mix(static_cast<std::uint64_t>(event.finish));
        if (event.finish != FinishReason::none) check_finish(tracked, choice, event);
    }

    void record_prompt_logprobs(std::span<const RankedLogprob> found, RequestId id, Choice& choice) {
        const auto& expected = choice.expected.prompt_logprobs;
        auto& all = choice.prompt_logprobs;
        all.insert(all.end(), found.begin(), found.end());
        require(all.size() <= expected.size() &&
                    std::equal(all.begin(), all.end(), expected.begin(),
                               [](const RankedLogprob& a, const RankedLogprob& b) {
                                   return a.token == b.token && a.logprob == b.logprob && a.rank == b.rank;
                               }),
                id, "log-probabilities of the prompt differ from the serial reference");
        require(choice.tokens.empty() || all.size() == expected.size(), id,
                "a token came before the log-probabilities of the prompt");
        result_.prompt_logprobs += found.size();
    }

    // Checks that the cached tokens are whole blocks of an earlier request with the same salt.
    void check_cached(const Tracked& tracked, std::int32_t cached) {
        const auto& prompt = tracked.request.prompt;
        std::size_t longest = 0;
        for (const auto& [id, other] : tracked_) {
            if (&other == &tracked || other.request.cache_salt != tracked.request.cache_salt) continue;
            for (const Choice& choice : other.choices) {
                std::vector<TokenId> text = other.request.prompt;
                text.insert(text.end(), choice.tokens.begin(), choice.tokens.end());
                const auto [end, unused] = std::ranges::mismatch(prompt, text);
                longest = std::max(longest, static_cast<std::size_t>(end - prompt.begin()));
            }
        }
        require(cached % kv_block_size == 0 && std::cmp_less_equal(cached, longest) &&
                    std::cmp_less(cached, prompt.size()),
                tracked.request.id, "more of the prompt was cached than any request with its salt contained");
        require(cached == 0 || tracked.request.num_prompt_logprobs < 0, tracked.request.id,
                "took tokens from the cache whose log-probabilities are wanted");
        result_.cached_tokens += static_cast<std::uint64_t>(cached);
    }

    void check_finish(const Tracked& tracked, const Choice& choice, const StepEvent& event) {
        const RequestId id = event.id;
        const Request& request = tracked.request;
        if (event.finish == FinishReason::cancelled) {
            require(tracked.cancelled_in.has_value(), id, "ended as cancelled without a cancel");
        } else if (event.finish == FinishReason::error && event.error == errc::queue_timeout) {
            require(now_ >= request.queue_deadline && choice.tokens.empty(), id, "queue_timeout too early");
        } else if (event.finish == FinishReason::error && event.error == errc::deadline_exceeded) {
            require(now_ >= request.request_deadline, id, "ended before its deadline");
        } else if (event.finish == FinishReason::error && event.error == errc::engine_unavailable) {
            require(machine_.fails_at_step.has_value(), id, "the engine failed although the backend did not");
        } else {
            const Expected& expected = choice.expected;
            require(event.finish == expected.finish, id, "ended for a wrong reason");
            require(choice.tokens.size() == expected.tokens.size(), id, "ended too early");
            require(event.finish == FinishReason::error ||
                        choice.prompt_logprobs.size() == expected.prompt_logprobs.size(),
                    id, "log-probabilities of the prompt are missing");
            require(event.finish != FinishReason::error || event.error == errc::numerical_error, id,
                    "ended with a wrong error");
            require(event.finish == FinishReason::error || choice.text == expected.text, id,
                    "text is missing at the end");
            require(event.matched_stop == expected.matched_stop &&
                        event.matched_stop_token == expected.matched_stop_token,
                    id, "reported a wrong stop");
        }
        // A request with a deadline ends in the first step after the deadline at the latest.
        require(now_ - request.request_deadline <= milliseconds(1), id, "did not end at its deadline");
    }

    void check_end() {
        for (const auto& [id, tracked] : tracked_) require(tracked.ended(), id, "never ended");
        core_.check_integrity();
        StepEvents events;
        core_.abort(errc::engine_unavailable, events);
        require(events.events.empty(), 0, "a request was left");
        require(events.snapshot.num_free_blocks == events.snapshot.num_blocks, 0, "blocks leaked");
        require(events.snapshot.num_running == 0 && events.snapshot.num_waiting == 0, 0,
                "the number of running or waiting sequences is wrong");
        mix(result_.steps + (result_.preemptions << 32));
        result_.history = history_;
    }

    void mix(std::uint64_t value) { history_ = (history_ ^ value) * 0x100000001B3; }

    void require(bool condition, RequestId id, const char* problem) const {
        if (condition) return;
        throw SimulationFailure("step " + std::to_string(step_) + ", request " + std::to_string(id) + ": " +
                                problem);
    }

    SeededRandom random_;
    Machine machine_;
    FakeOptions model_;
    std::shared_ptr<FakeControl> control_;
    WatchedBackend backend_;
    Clock::time_point now_;
    EngineCore core_;
    std::vector<std::vector<TokenId>> stems_;
    std::map<RequestId, Tracked> tracked_;
    std::map<SequenceKey, Phase> phases_;  // the last published phase of each sequence
    RequestId next_id_ = 1;
    std::uint64_t step_ = 0;
    std::uint64_t num_tokens_ = 0;
    std::uint64_t history_ = 0xcbf29ce484222325;
    SimulationResult result_;
};

}  // namespace

SimulationResult simulate(std::uint64_t seed) {
    return Simulation(seed).run();
}

}  // namespace solard
