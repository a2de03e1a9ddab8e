// One generation as the server asks for it, and what the engine reports back.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "inference/error.hpp"
#include "inference/model_config.hpp"
#include "inference/sampling_params.hpp"

namespace solard {

using RequestId = std::uint64_t;
using Clock = std::chrono::steady_clock;

// Immutable after submit.
struct Request {
    RequestId id = 0;             // unique for the life of the process
    std::vector<TokenId> prompt;  // [1, max_model_len)
    std::int32_t max_tokens = 0;  // >= 1; prompt.size() + max_tokens <= max_model_len
    SamplingParams sampling;
    std::vector<std::string> stop;                                  // none of them empty
    Clock::time_point queue_deadline = Clock::time_point::max();    // to leave the waiting queue
    Clock::time_point request_deadline = Clock::time_point::max();  // to be finished
};

enum class FinishReason : std::uint8_t { none, stop, length, cancelled, error };

// What one step did to one request. `text` is whole UTF-8 characters and may be empty.
struct StepEvent {
    RequestId id = 0;
    std::uint32_t text_begin = 0;  // into StepEvents::text
    std::uint32_t text_size = 0;
    std::uint32_t num_tokens = 0;              // generated in this step; the ending token counts
    FinishReason finish = FinishReason::none;  // anything else: the request's last event
    errc error = errc::server_error;           // meaningful when finish == error
};

// Counters of the engine, by value once per step.
struct EngineSnapshot {
    std::uint64_t steps = 0;
    std::int32_t num_running = 0;
    std::int32_t num_waiting = 0;
    std::int32_t num_blocks = 0;
    std::int32_t num_free_blocks = 0;
    std::uint64_t num_preemptions = 0;
    std::uint64_t generated_tokens = 0;
};

// All of one step. Moved to the reader and handed back for reuse (Engine::recycle), so that a token allocates
// nothing.
struct StepEvents {
    std::string text;
    std::vector<StepEvent> events;
    EngineSnapshot snapshot;

    std::string_view text_of(const StepEvent& event) const {
        return std::string_view(text).substr(event.text_begin, event.text_size);
    }
    void clear() {
        text.clear();
        events.clear();
    }
};

}  // namespace solard
