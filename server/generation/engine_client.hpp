// The I/O thread's side of the engine: it admits requests, keeps the logs of the requests in flight, and
// writes the events of each step to these logs.
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
#include "server/auth/access.hpp"
#include "server/auth/quota.hpp"
#include "server/config/error.hpp"
#include "server/generation/admission_control.hpp"
#include "server/generation/generation_log.hpp"
#include "server/observe/server_state.hpp"

namespace solard::server {

struct QueueLimits {
    std::int64_t max_queued_requests = 0;  // limit for choices which wait; running choices are not counted
    std::int64_t max_queued_tokens = 0;    // limit for prompt tokens of requests which have no output yet
};

class EngineClient;

// One accepted generation: one engine request for each prompt, their common log, and the place in the key's
// quota. The generation runs as long as this object exists: the destructor cancels all requests which have
// not ended, and charges the key for the generated tokens. I/O thread only.
class Generation {
  public:
    Generation(Generation&& other) noexcept;
    Generation& operator=(Generation&&) = delete;
    ~Generation();

    GenerationLog& log() const { return *log_; }
    // Returns the log for a reader which may outlive the generation. A copy of this pointer does not keep the
    // generation running.
    const std::shared_ptr<GenerationLog>& shared_log() const { return log_; }
    std::size_t prompt_tokens() const { return prompt_tokens_; }  // of all prompts
    std::int32_t max_tokens() const { return max_tokens_; }       // limit for one output
    std::uint64_t seed() const { return seed_; }                  // of the first prompt
    // Must be called when the answer has begun: from then on, the generation cannot lose its place to a
    // newcomer.
    void keep_place() const;

  private:
    friend class EngineClient;
    // The caller must submit `requests` afterwards, under consecutive ids that begin with `first_id`.
    Generation(EngineClient& client, RequestId first_id, std::span<const Request> requests,
               Quota::Place place, std::shared_ptr<GenerationLog> log);

    EngineClient* client_;  // null if this object was moved from
    RequestId first_id_;    // id of the first prompt; the other prompts have the next ids
    std::size_t num_requests_;
    Quota::Place place_;
    std::shared_ptr<GenerationLog> log_;
    std::size_t prompt_tokens_ = 0;
    std::int32_t max_tokens_ = 0;
    std::uint64_t seed_;
};

// I/O thread only. Must outlive every Generation.
class EngineClient {
  public:
    // `io` and `state` must outlive this object, except that `io` may be destroyed after stop() was called.
    // This object keeps state.phase up to date.
    EngineClient(boost::asio::io_context& io, ServerState& state);
    ~EngineClient() { stop(); }
    EngineClient(const EngineClient&) = delete;
    EngineClient& operator=(const EngineClient&) = delete;

    // Starts the engine thread. `on_ready` and `on_failed` run on the I/O thread.
    void start(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
               QueueLimits limits, std::function<void(const EngineInfo&)> on_ready,
               std::function<void(Error)> on_failed);
    // Joins the engine thread. No event is delivered afterwards.
    void stop() { engine_.reset(); }
    // Asks the engine thread to stop, and does not wait for it. has_ended() returns true when the thread has
    // ended.
    void ask_to_stop() {
        if (engine_) engine_->ask_to_stop();
    }
    bool has_ended() const { return !engine_ || engine_->has_ended(); }
    // Returns the engine's activity, for a watchdog. The activity is idle if there is no engine.
    EngineActivity activity() const { return engine_ ? engine_->activity() : EngineActivity{}; }

    // Refuses new requests from now on. Requests in flight continue.
    void drain();
    // Ends everything in flight with `error`.
    void fail_all(const Error& error);
    // Marks the engine as lost: ends everything in flight with `error` and refuses new requests.
    void fail(const Error& error);

    // Errors: server_starting, server_draining, engine_unavailable.
    result<void> check_ready() const;
    // Checks that the smallest possible request of this caller would be admitted now. Errors: those of
    // submit().
    result<void> check_open(const Caller& caller);
    // Admits all requests or none, without waiting. If the requests take the places of other generations
    // (QueueShares), those generations end with server_overloaded. All requests must have the same number of
    // choices `n`; output `i` of the log is choice `i % n` of request `i / n`. Sets the principal of each
    // request. `calls` is set if the outputs may call tools. Errors: those of check_ready(),
    // server_overloaded, rate_limit_exceeded (this principal has reached its part of a limit), invalid_value
    // (the requests can never fit).
    result<Generation> submit(std::vector<Request> requests, const Caller& caller, Quota::Place place,
                              bool keep_token_ids = false, std::optional<CallRules> calls = std::nullopt);
    // Must be called when a connection has ended.
    void connection_closed(const Peer& peer);

    const std::optional<EngineInfo>& info() const { return info_; }  // absent while the server is starting
    const EngineSnapshot& snapshot() const { return snapshot_; }     // of the last step
    // Returns the number of Generation objects which exist.
    std::size_t num_in_flight() const { return num_generations_; }
    // Returns how many choices can run together; 0 while the server is starting.
    std::int32_t max_running() const { return info_ ? info_->max_running : 0; }
    std::int64_t capacity_tokens() const;  // of the KV pool; 0 while the server is starting
    // Returns the limit for the number of choices that run or wait.
    std::int64_t max_choices_in_flight() const { return max_running() + limits_.max_queued_requests; }

  private:
    friend class Generation;
    struct InFlight {
        std::shared_ptr<GenerationLog> log;
        std::uint32_t first_output;
        std::uint32_t prompt;        // index of the request's prompt in the generation
        RequestId generation;        // id of the generation's first request
        std::int64_t queued_tokens;  // tokens of the prompt until the request's first event, then 0
        std::uint32_t choices_left;  // choices whose last event has not come
        std::size_t prompt_tokens;
        std::int32_t num_prompt_logprobs = -1;  // as in the request
        std::size_t generated_tokens = 0;
        // True if memory for the cancel command was missing. The command must then be sent again.
        bool must_cancel = false;
        RequestTimes times;
        std::array<Clock::time_point, max_choices> last_tokens{};  // time of each choice's last token
    };
    bool submit_one(Request request, InFlight entry);
    void cancel(RequestId id, InFlight& entry);
    void retry_cancels();
    result<void> check_size(std::span<const Request> requests, const Demand& demand) const;
    void displace(RequestId first_id);
    void release(RequestId first_id, std::size_t num_requests);
    void deliver(StepEvents events);
    void deliver_progress(const ProgressEvent& event, InFlight& entry, const EngineSnapshot& step);
    void deliver_event(const StepEvents& events, const StepEvent& event, InFlight& entry);
    void measure(const StepEvent& event, InFlight& entry, const EngineSnapshot& step, Clock::time_point now);
    static void set_start(RequestTimes& times, const EngineSnapshot& step);

    boost::asio::io_context& io_;
    ServerState& state_;
    std::unique_ptr<Engine> engine_;
    QueueLimits limits_;
    std::optional<EngineInfo> info_;
    EngineSnapshot snapshot_;
    std::unordered_map<RequestId, InFlight> in_flight_;
    std::size_t num_generations_ = 0;
    AdmissionControl admission_;
    RequestId next_id_ = 1;
    bool must_retry_cancels_ = false;  // must_cancel is true in at least one entry
};

}  // namespace solard::server
