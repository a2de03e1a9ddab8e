// A request as the server submits it, and the events with which the engine reports on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/grammar/grammar.hpp"
#include "inference/sampling_params.hpp"
#include "inference/sampling_row.hpp"
#include "inference/text/stop_matcher.hpp"
#include "inference/token_id.hpp"

namespace solard {

using RequestId = std::uint64_t;
using Clock = std::chrono::steady_clock;

// A client that gets a fair share of the engine: an API key, or a connection that has no API key.
struct Principal {
    std::uint64_t id = 0;
    std::int32_t weight = 1;  // >= 1: the principal's part of the engine, relative to the other weights
};

// A request to the engine; must not be changed after it was submitted.
struct Request {
    RequestId id = 0;             // unique for the life of the process
    std::vector<TokenId> prompt;  // 1 to max_model_len - max_tokens tokens
    // Of each choice; prompt.size() + max_tokens <= max_model_len. With 0, only the prompt is computed: the
    // request then ends (FinishReason::length) without a generated token.
    std::int32_t max_tokens = 0;
    // If >= 0, the engine reports the log-probability and the rank of each token of the prompt but the first,
    // and this many of the likeliest tokens in its place. -1 = not wanted. At most max_top_logprobs.
    std::int32_t num_prompt_logprobs = -1;
    std::uint32_t num_choices = 1;  // [1, max_choices]; the choices share the prompt's KV
    SamplingParams sampling;        // the scheduler sets `choice` for each sequence
    std::vector<LogitBias> logit_bias;
    std::vector<std::string> stop;  // no string may be empty
    UnsearchedParts unsearched;     // parts of the answer in which no stop string and no stop token counts
    std::vector<TokenId> stop_token_ids;  // tokens that end the answer, like end-of-sequence tokens
    std::int32_t min_tokens = 0;          // until an answer has this many tokens, only max_tokens can end it
    bool ignore_eos = false;
    bool skip_special_tokens = true;  // special tokens add no text to the answer
    // The texts that each answer may be, or null: any text. Where the grammar allows only the end of the
    // answer, the answer ends (FinishReason::stop), whatever min_tokens and ignore_eos say.
    std::shared_ptr<const Grammar> grammar;
    Principal principal;
    std::int32_t priority = 0;     // order among the principal's waiting requests; lowest first
    std::uint64_t cache_salt = 0;  // set by the server: prompts share KV only if their salts are equal
    Clock::time_point queue_deadline = Clock::time_point::max();    // latest time to start running
    Clock::time_point request_deadline = Clock::time_point::max();  // latest time for the last token
};

enum class FinishReason : std::uint8_t { none, stop, length, cancelled, error };

// The result of one step for one choice of one request. The text consists of whole UTF-8 characters and may
// be empty.
struct StepEvent {
    RequestId id = 0;
    std::uint32_t choice = 0;
    std::uint32_t text_begin = 0;  // index into StepEvents::text
    std::uint32_t text_size = 0;
    std::uint32_t tokens_begin = 0;  // index into StepEvents::token_ids
    std::uint32_t num_tokens = 0;    // generated in this step, including a token that ends the answer
    // Index into StepEvents::logprobs. Each token has one entry of its own, followed by the entries of its
    // alternatives.
    std::uint32_t logprobs_begin = 0;
    std::uint32_t num_logprobs = 0;  // entries of all tokens together
    // Index into StepEvents::prompt_logprobs. Each token of the prompt but the first has one entry of its
    // own, followed by the entries of its alternatives, likeliest first. The entries come in the order of the
    // prompt and exactly once; several events of choice 0 may carry a part each. The last part comes no later
    // than the first generated token.
    std::uint32_t prompt_logprobs_begin = 0;
    std::uint32_t num_prompt_logprobs = 0;     // entries of all tokens together
    std::int32_t num_cached_tokens = -1;       // of the prompt; -1 except in the first event with tokens
    FinishReason finish = FinishReason::none;  // if not none, this is the choice's last event
    errc error = errc::backend_failed;         // meaningful when finish == error
    std::int32_t matched_stop = -1;            // index into Request::stop
    TokenId matched_stop_token = -1;           // the id in Request::stop_token_ids that ended the answer
};

// The stage that a sequence has reached. A new event is published when the stage changes.
struct ProgressEvent {
    enum class Phase : std::uint8_t { queued, prefill, decoding, preempted };
    RequestId id = 0;
    std::uint32_t choice = 0;
    Phase phase = Phase::queued;
    // In the phases queued and preempted: the number of requests ahead in the queue. In the phase prefill:
    // the number of tokens computed so far, including cached tokens.
    std::int32_t done = 0;
    std::int32_t total = 0;  // prefill: the value of `done` at which the next token can be chosen
};

// State and counters of the engine, copied once per step.
struct EngineSnapshot {
    std::uint64_t steps = 0;
    std::int32_t num_running = 0;
    std::int32_t num_waiting = 0;
    std::int32_t num_blocks = 0;
    std::int32_t num_free_blocks = 0;    // includes blocks that only cache a prefix
    std::int32_t num_cached_blocks = 0;  // registered in the prefix cache, in use or not
    std::uint64_t num_preemptions = 0;
    std::uint64_t generated_tokens = 0;
    std::uint64_t prefix_cache_queries = 0;  // prompt tokens that were looked up
    std::uint64_t prefix_cache_hits = 0;     // prompt tokens that were found
    std::uint64_t draft_tokens = 0;          // proposed by prompt lookup
    std::uint64_t accepted_draft_tokens = 0;
    Clock::time_point step_end{};          // when the last step ended, or when the engine failed
    std::chrono::nanoseconds step_time{};  // of the last step
    double tokens_per_second = 0;          // mean over about the last second of step time
};

// Everything that one step reports. The reader must hand the object back for reuse (Engine::recycle), so that
// generating a token allocates no memory.
struct StepEvents {
    std::string text;
    std::vector<TokenId> token_ids;
    std::vector<TokenLogprob> logprobs;
    std::vector<RankedLogprob> prompt_logprobs;
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
    std::span<const RankedLogprob> prompt_logprobs_of(const StepEvent& event) const {
        return std::span(prompt_logprobs).subspan(event.prompt_logprobs_begin, event.num_prompt_logprobs);
    }
    void clear() {
        text.clear();
        token_ids.clear();
        logprobs.clear();
        prompt_logprobs.clear();
        events.clear();
        progress.clear();
    }
};

}  // namespace solard
