// One generation as the server asks for it, and what the engine reports back.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "inference/backend.hpp"
#include "inference/error.hpp"
#include "inference/model/config.hpp"
#include "inference/sampling_params.hpp"

namespace solard {

using RequestId = std::uint64_t;
using Clock = std::chrono::steady_clock;

// Who shares the engine fairly: an API key, or a connection without one.
struct Principal {
    std::uint64_t id = 0;
    std::int32_t weight = 1;  // >= 1: its part of the engine beside the others' weights
};

// Immutable after submit.
struct Request {
    RequestId id = 0;               // unique for the life of the process
    std::vector<TokenId> prompt;    // [1, max_model_len)
    std::int32_t max_tokens = 0;    // >= 1, of each choice; prompt.size() + max_tokens <= max_model_len
    std::uint32_t num_choices = 1;  // [1, max_choices]; they share the prompt's KV
    SamplingParams sampling;        // `choice` is set per sequence
    std::vector<LogitBias> logit_bias;
    std::vector<std::string> stop;        // none of them empty
    std::vector<TokenId> stop_token_ids;  // end the answer beside the model's end-of-sequence tokens
    std::int32_t min_tokens = 0;          // before these, nothing but max_tokens ends the answer
    bool ignore_eos = false;
    Principal principal;
    std::int32_t priority = 0;     // among the principal's waiting requests: lower first
    std::uint64_t cache_salt = 0;  // chosen by the server: prompts share KV only under an equal salt
    Clock::time_point queue_deadline = Clock::time_point::max();    // to leave the waiting queue
    Clock::time_point request_deadline = Clock::time_point::max();  // to be finished
};

enum class FinishReason : std::uint8_t { none, stop, length, cancelled, error };

// What one step did to one choice of one request. `text` is whole UTF-8 characters and may be empty.
struct StepEvent {
    RequestId id = 0;
    std::uint32_t choice = 0;
    std::uint32_t text_begin = 0;  // into StepEvents::text
    std::uint32_t text_size = 0;
    std::uint32_t tokens_begin = 0;  // into StepEvents::token_ids
    std::uint32_t num_tokens = 0;    // generated in this step; the ending token counts
    // Into StepEvents::logprobs, for each token its own and then its alternatives; num_logprobs in all.
    std::uint32_t logprobs_begin = 0;
    std::uint32_t num_logprobs = 0;
    std::int32_t num_cached_tokens = -1;       // of the prompt; only in the choice's first event with tokens
    FinishReason finish = FinishReason::none;  // anything else: the choice's last event
    errc error = errc::backend_failed;         // meaningful when finish == error
    std::int32_t matched_stop = -1;            // index into Request::stop
    TokenId matched_stop_token = -1;           // of Request::stop_token_ids
};

// Where a sequence stands; published when it changes.
struct ProgressEvent {
    enum class Phase : std::uint8_t { queued, prefill, decoding, preempted };
    RequestId id = 0;
    std::uint32_t choice = 0;
    Phase phase = Phase::queued;
    std::int32_t done =
        0;  // queued, preempted: requests ahead of it; prefill: tokens computed, cached included
    std::int32_t total = 0;  // prefill: tokens to compute before the next one can be chosen
};

// State and counters of the engine, by value once per step.
struct EngineSnapshot {
    std::uint64_t steps = 0;
    std::int32_t num_running = 0;
    std::int32_t num_waiting = 0;
    std::int32_t num_blocks = 0;
    std::int32_t num_free_blocks = 0;    // those that only cache a prefix included
    std::int32_t num_cached_blocks = 0;  // registered in the prefix cache, in use or not
    std::uint64_t num_preemptions = 0;
    std::uint64_t generated_tokens = 0;
    std::uint64_t prefix_cache_queries = 0;  // prompt tokens looked up
    std::uint64_t prefix_cache_hits = 0;     // and found
    std::uint64_t draft_tokens = 0;          // proposed by prompt lookup
    std::uint64_t accepted_draft_tokens = 0;
    std::chrono::nanoseconds step_time{};  // of the last step
    double tokens_per_second = 0;          // generated, over about the last second of stepping
};

// All of one step. Moved to the reader and handed back for reuse (Engine::recycle), so that a token allocates
// nothing.
struct StepEvents {
    std::string text;
    std::vector<TokenId> token_ids;
    std::vector<TokenLogprob> logprobs;
    std::vector<StepEvent> events;
    std::vector<ProgressEvent> progress;
    EngineSnapshot snapshot;

    std::string_view text_of(const StepEvent& event) const {
        return std::string_view(text).substr(event.text_begin, event.text_size);
    }
    std::span<const TokenId> tokens_of(const StepEvent& event) const {
        return std::span(token_ids).subspan(event.tokens_begin, event.num_tokens);
    }
    std::span<const TokenLogprob> logprobs_of(const StepEvent& event) const {
        return std::span(logprobs).subspan(event.logprobs_begin, event.num_logprobs);
    }
    void clear() {
        text.clear();
        token_ids.clear();
        logprobs.clear();
        events.clear();
        progress.clear();
    }
};

}  // namespace solard
