// The I/O thread's side of the engine: admission, the logs of what is in flight, fan-out of step events.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "inference/engine/engine.hpp"
#include "server/auth/quota.hpp"
#include "server/config/error.hpp"
#include "server/generation/drain_rate.hpp"
#include "server/generation/generation_log.hpp"
#include "server/observe/server_state.hpp"

namespace solard::server {

// A single principal may use at most 7/8 of each limit, so that one flooding client cannot lock out
// occasional ones.
struct AdmissionLimits {
    std::int64_t max_queued_requests = 0;  // choices beyond those that run
    std::int64_t max_queued_tokens = 0;    // prompt tokens of requests that produced nothing yet
};

class EngineClient;

// One accepted generation: one engine request for each prompt, their common log, and the place in the key's
// quota. The generation runs as long as this object exists: the destructor cancels what is not finished and
// charges the key for the tokens that were generated. I/O thread only.
class Generation {
  public:
    Generation(Generation&& other) noexcept;
    Generation& operator=(Generation&&) = delete;
    ~Generation();

    GenerationLog& log() const { return *log_; }
    // For a reader which goes on after the end; it does not keep the generation going.
    const std::shared_ptr<GenerationLog>& shared_log() const { return log_; }
    std::size_t prompt_tokens() const { return prompt_tokens_; }  // of all prompts
    std::int32_t max_tokens() const { return max_tokens_; }       // of each output, at most
    std::uint64_t seed() const { return seed_; }                  // of the first prompt

  private:
    friend class EngineClient;
    // `requests` are those that will be submitted under the ids from `first_id` on.
    Generation(EngineClient& client, RequestId first_id, std::span<const Request> requests,
               Quota::Place place, std::shared_ptr<GenerationLog> log);

    EngineClient* client_;  // null once it was moved from
    RequestId first_id_;    // the ids of the other prompts follow
    std::size_t num_requests_;
    Quota::Place place_;
    std::shared_ptr<GenerationLog> log_;
    std::size_t prompt_tokens_ = 0;
    std::int32_t max_tokens_ = 0;
    std::uint64_t seed_;
};

// I/O thread only. Outlives every Generation.
class EngineClient {
  public:
    // `io` and `state` outlive the client, which keeps state.service up to date.
    EngineClient(boost::asio::io_context& io, ServerState& state) : io_(io), state_(state) {}
    ~EngineClient() { stop(); }
    EngineClient(const EngineClient&) = delete;
    EngineClient& operator=(const EngineClient&) = delete;

    // Starts the engine thread. `on_ready` and `on_failed` run on the I/O thread.
    void start(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
               AdmissionLimits limits, std::function<void(const EngineInfo&)> on_ready,
               std::function<void(Error)> on_failed);
    // Joins the engine thread. No event is delivered afterwards.
    void stop() { engine_.reset(); }
    void ask_to_stop() {
        if (engine_) engine_->ask_to_stop();
    }
    bool has_ended() const { return !engine_ || engine_->has_ended(); }
    // For a watchdog; idle where there is no engine.
    EngineActivity activity() const { return engine_ ? engine_->activity() : EngineActivity{}; }

    ServiceState state() const { return state_.service; }
    // New requests are refused from now on; those in flight go on.
    void drain();
    // Ends everything in flight with `error`.
    void fail_all(const Error& error);
    // The engine is lost: as fail_all(), and nothing is accepted any more.
    void fail(const Error& error);

    // What can be said of any request: is the engine ready, and is there room in the queue? Errors as
    // submit().
    result<void> check_open() const;
    // Synchronous admission of all or none. The requests are of one principal and have as many choices each;
    // output `i` of the log is choice `i % n` of request `i / n`. Errors: server_starting, server_draining,
    // engine_unavailable, server_overloaded, rate_limit_exceeded (this principal's part is used up),
    // invalid_value (what can never fit).
    result<Generation> submit(std::vector<Request> requests, Quota::Place place = Quota::Place(nullptr),
                              bool keep_token_ids = false);
    result<Generation> submit(Request request);

    const std::optional<EngineInfo>& info() const { return info_; }  // absent while starting
    const EngineSnapshot& snapshot() const { return snapshot_; }     // of the last step
    // Answers somebody still waits for.
    std::size_t num_in_flight() const { return num_generations_; }
    // Choices that run together; 0 while starting.
    std::int32_t max_running() const { return info_ ? info_->max_running : 0; }
    std::int64_t capacity_tokens() const;  // of the KV pool; 0 while starting
    // The largest number of choices that run or wait.
    std::int64_t max_choices_in_flight() const { return max_running() + limits_.max_queued_requests; }

  private:
    friend class Generation;
    struct InFlight {
        std::shared_ptr<GenerationLog> log;
        std::uint32_t first_output;
        std::uint64_t principal;
        std::int64_t queued_tokens;  // prompt tokens while nothing came yet
        std::uint32_t choices_left;  // whose last event has not come
        std::size_t prompt_tokens;
        std::size_t generated_tokens = 0;
        RequestTimes times;
        std::array<Clock::time_point, max_choices> last_tokens{};
    };
    // What somebody has in flight.
    struct Load {
        std::int64_t choices = 0;  // that did not end
        std::int64_t queued_tokens = 0;
        void add(std::int64_t more_choices, std::int64_t more_tokens) {
            choices += more_choices;
            queued_tokens += more_tokens;
        }
    };
    void charge(std::uint64_t principal, std::int64_t choices, std::int64_t tokens);
    result<void> check_capacity(std::span<const Request> requests) const;
    Error busy(errc code, std::string message) const;
    void release(RequestId first_id, std::size_t num_requests);
    void deliver(StepEvents events);
    void deliver_progress(const ProgressEvent& event, InFlight& entry, Clock::time_point step_begin);
    void deliver_event(const StepEvents& events, const StepEvent& event, InFlight& entry);
    void measure(const StepEvent& event, InFlight& entry, Clock::time_point now);

    boost::asio::io_context& io_;
    ServerState& state_;
    std::unique_ptr<Engine> engine_;
    AdmissionLimits limits_;
    std::optional<EngineInfo> info_;
    EngineSnapshot snapshot_;
    std::unordered_map<RequestId, InFlight> in_flight_;
    std::size_t num_generations_ = 0;
    DrainRate drain_rate_;
    Load load_;                                      // of all
    std::unordered_map<std::uint64_t, Load> loads_;  // by principal, of those that have something in flight
    RequestId next_id_ = 1;
};

}  // namespace solard::server
