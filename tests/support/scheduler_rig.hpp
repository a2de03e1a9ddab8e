// Runs a scheduler on a fake backend step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "inference/scheduling/scheduler.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard {

// Everything that the scheduler reported about one choice of a request.
struct Outcome {
    std::vector<TokenId> tokens;
    FinishReason finish = FinishReason::none;
    errc error = errc::backend_failed;
    std::int32_t num_cached_tokens = 0;
    std::int32_t num_preemptions = 0;
    std::vector<RankedLogprob> prompt_logprobs;
};

struct Limits {
    std::int32_t max_num_seqs = 8;
    std::int32_t max_num_batched_tokens = 64;
    std::int32_t num_blocks = 64;
    std::int32_t max_model_len = 512;
    bool prefix_cache = true;
    std::int32_t max_speculative_step_rows = 0;
};

// Runs a scheduler and keeps its outcomes. Calls check_integrity() during and after every step.
class Rig {
  public:
    explicit Rig(const Limits& limits = {}, FakeOptions options = {}, TokenId end_token = -1)
        : scheduler({.max_num_seqs = limits.max_num_seqs,
                     .max_num_batched_tokens = limits.max_num_batched_tokens,
                     .num_blocks = limits.num_blocks,
                     .max_model_len = limits.max_model_len,
                     .eos_token_ids = {end_token},
                     .prefix_cache = limits.prefix_cache,
                     .hash_key = {1, 2},
                     .max_speculative_step_rows = limits.max_speculative_step_rows}),
          backend_(with_capacity(std::move(options), limits)) {}

    static Request request(RequestId id, std::int32_t prompt_tokens, std::int32_t max_tokens,
                           std::uint64_t principal = 0) {
        Request request;
        request.id = id;
        request.prompt = prompt_of(id, prompt_tokens);
        request.max_tokens = max_tokens;
        request.principal.id = principal;
        return request;
    }
    void add(RequestId id, std::int32_t prompt_tokens, std::int32_t max_tokens, std::uint64_t principal = 0) {
        scheduler.add(request(id, prompt_tokens, max_tokens, principal));
    }

    static std::vector<TokenId> prompt_of(RequestId id, std::int32_t prompt_tokens) {
        std::mt19937_64 random(id);
        std::vector<TokenId> prompt(static_cast<std::size_t>(prompt_tokens));
        for (TokenId& token : prompt) token = 3 + static_cast<TokenId>(random() % 997);
        return prompt;
    }

    // Runs one whole step, and calls `in_flight` between submit and collect.
    void step(const std::function<void()>& in_flight = {}) {
        batch = scheduler.schedule(now);
        if (batch.num_tokens() > 0) backend_.submit(batch);
        if (in_flight) in_flight();
        scheduler.check_integrity();
        if (batch.num_tokens() > 0) backend_.collect(results_);
        for (const Scheduler::Advance& advance : scheduler.complete(results_)) report(advance);
        scheduler.check_integrity();
        ++num_steps;
    }

    void run() {
        for (int steps = 0; scheduler.has_work(); ++steps) {
            if (steps > 100'000)
                throw std::runtime_error("the scheduler does not finish: 100000 steps have passed");
            step();
        }
    }

    Scheduler scheduler;
    ForwardBatch batch;  // of the last step
    Clock::time_point now;
    std::map<RequestId, Outcome> outcomes;  // of choice 0
    std::map<std::pair<RequestId, std::uint32_t>, Outcome> other_choices;
    std::size_t num_tokens = 0;  // of all outcomes
    int num_steps = 0;

  private:
    static FakeOptions with_capacity(FakeOptions options, const Limits& limits) {
        options.capacity = {.num_blocks = limits.num_blocks,
                            .max_tokens_per_step = limits.max_num_batched_tokens,
                            .max_seqs_per_step = limits.max_num_seqs,
                            .max_model_len = limits.max_model_len};
        return options;
    }

    void report(const Scheduler::Advance& advance) {
        Sequence& sequence = *advance.sequence;
        const RequestId id = sequence.request.id;
        Outcome& outcome = sequence.choice() == 0 ? outcomes[id] : other_choices[{id, sequence.choice()}];
        if (outcome.finish != FinishReason::none)
            throw std::runtime_error("an advance was reported after the choice had finished");
        outcome.finish = sequence.finish;
        outcome.error = sequence.error;
        outcome.num_cached_tokens = sequence.num_cached_tokens;
        outcome.num_preemptions = sequence.num_preemptions;
        const auto first_score = results_.scores.begin() + advance.first_score;
        outcome.prompt_logprobs.insert(outcome.prompt_logprobs.end(), first_score,
                                       first_score + advance.num_scores);
        for (std::int32_t i = 0; i < advance.num_tokens && outcome.finish == FinishReason::none; ++i) {
            ++num_tokens;
            outcome.tokens.push_back(
                sequence.token_ids.at(static_cast<std::size_t>(sequence.num_accepted_tokens)));
            std::string text;
            outcome.finish = sequence.accept_token("", text);
        }
        if (outcome.finish == FinishReason::none && sequence.num_uncomputed_tokens() == 0) {
            outcome.finish = FinishReason::length;  // max_tokens is 0
        }
        if (sequence.finish == FinishReason::none && outcome.finish != FinishReason::none) {
            scheduler.finish(sequence, outcome.finish);
        }
    }

    FakeBackend backend_;
    StepResults results_;
};

// Returns the number of tokens that each sequence of the batch computes.
inline std::vector<std::int32_t> chunk_sizes(const ForwardBatch& batch) {
    std::vector<std::int32_t> sizes;
    for (std::size_t i = 0; i + 1 < batch.cu_seqlens_q.size(); ++i) {
        sizes.push_back(batch.cu_seqlens_q[i + 1] - batch.cu_seqlens_q[i]);
    }
    return sizes;
}

using Sizes = std::vector<std::int32_t>;

}  // namespace solard
