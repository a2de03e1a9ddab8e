// Runs an EngineCore step by step on any backend, and collects its reports.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "inference/engine/engine_core.hpp"
#include "tests/support/same_bits.hpp"

namespace solard {

// Passes every call on to another backend and counts the kinds of steps.
class WatchedBackend final : public Backend {
  public:
    explicit WatchedBackend(Backend& backend) : backend_(backend) {}

    BackendCapacity capacity() const override { return backend_.capacity(); }
    std::string description() const override { return backend_.description(); }
    void submit(const ForwardBatch& batch) override {
        bool has_decode = false;
        bool has_chunk = false;
        auto row = batch.logits_rows.begin();
        for (std::size_t i = 0; i < batch.context_lens.size(); ++i) {
            const std::int32_t end = batch.cu_seqlens_q[i + 1];
            const bool samples = row != batch.logits_rows.end() && *row < end;
            while (row != batch.logits_rows.end() && *row < end) ++row;
            has_decode = has_decode || (samples && end - batch.cu_seqlens_q[i] == 1);
            has_chunk = has_chunk || !samples;
        }
        num_mixed_steps += has_decode && has_chunk ? 1 : 0;
        num_block_copies += batch.block_copies.size();
        backend_.submit(batch);
    }
    void sample(std::span<const std::uint32_t> masks) override { backend_.sample(masks); }
    void collect(StepResults& results) override { backend_.collect(results); }

    int num_mixed_steps = 0;           // steps with a prompt chunk and a decode
    std::size_t num_block_copies = 0;  // made when the choices of a request diverge

  private:
    Backend& backend_;
};

// Everything that the engine reported about one choice.
struct Answer {
    std::vector<TokenId> tokens;
    std::string text;
    std::vector<TokenLogprob> logprobs;
    std::vector<RankedLogprob> prompt_logprobs;
    FinishReason finish = FinishReason::none;
    std::int32_t matched_stop = -1;
    TokenId matched_stop_token = -1;
    std::int32_t num_cached_tokens = 0;
};

// Runs an EngineCore and keeps its answers. Calls check_integrity() after every step.
class EngineRun {
  public:
    EngineRun(Backend& backend, const Tokenizer& tokenizer, const SchedulerOptions& options)
        : core_(backend, tokenizer, options, [] { return Clock::time_point{}; }) {}

    void submit(Request request) { core_.submit(std::move(request)); }
    void cancel(RequestId id) { core_.cancel(id); }
    bool has_work() const { return core_.has_work(); }
    void step() {
        if (++num_steps > 100'000)
            throw std::runtime_error("the engine does not finish: 100000 steps have passed");
        events_.clear();
        core_.step(events_);
        core_.check_integrity();
        for (const StepEvent& event : events_.events) add(event);
        for (const ProgressEvent& event : events_.progress) {
            if (event.phase == ProgressEvent::Phase::preempted) preempted.insert(event.id);
        }
    }
    void run() {
        while (has_work()) step();
    }
    const EngineSnapshot& snapshot() const { return events_.snapshot; }

    std::map<std::pair<RequestId, std::uint32_t>, Answer> answers;  // by request and choice
    std::map<RequestId, errc> errors;                               // of requests that ended with one
    std::set<RequestId> preempted;
    int num_steps = 0;

  private:
    void add(const StepEvent& event) {
        Answer& answer = answers[{event.id, event.choice}];
        if (answer.finish != FinishReason::none)
            throw std::runtime_error("an event was reported after the choice had finished");
        const auto tokens = events_.tokens_of(event);
        const auto logprobs = events_.logprobs_of(event);
        answer.tokens.insert(answer.tokens.end(), tokens.begin(), tokens.end());
        answer.text += events_.text_of(event);
        answer.logprobs.insert(answer.logprobs.end(), logprobs.begin(), logprobs.end());
        const auto prompt_logprobs = events_.prompt_logprobs_of(event);
        if (!prompt_logprobs.empty() && answer.tokens.size() > tokens.size())
            throw std::runtime_error("log-probabilities of the prompt were reported after the first token");
        answer.prompt_logprobs.insert(answer.prompt_logprobs.end(), prompt_logprobs.begin(),
                                      prompt_logprobs.end());
        answer.finish = event.finish;
        if (event.finish == FinishReason::error) errors[event.id] = event.error;
        answer.matched_stop = event.matched_stop;
        answer.matched_stop_token = event.matched_stop_token;
        if (event.num_cached_tokens >= 0) answer.num_cached_tokens = event.num_cached_tokens;
    }

    EngineCore core_;
    StepEvents events_;
};

}  // namespace solard
