#include "server/generation/engine_client.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <new>
#include <utility>

#include "server/api/error.hpp"
#include "server/config/random_bits.hpp"

namespace solard::server {
namespace {

// The weight of one owner. It is divided equally among the owner's principals which have something in flight.
constexpr std::int32_t owner_weight = 1024;

Demand demand_of(std::span<const Request> requests) {
    Demand demand;
    for (const Request& request : requests)
        demand +=
            {.choices = request.num_choices, .tokens = static_cast<std::int64_t>(request.prompt.size())};
    return demand;
}

}  // namespace

Generation::Generation(EngineClient& client, RequestId first_id, std::span<const Request> requests,
                       Quota::Place place, std::shared_ptr<GenerationLog> log)
    : client_(&client),
      first_id_(first_id),
      num_requests_(requests.size()),
      place_(std::move(place)),
      log_(std::move(log)),
      seed_(requests.front().sampling.seed) {
    for (const Request& request : requests) {
        prompt_tokens_ += request.prompt.size();
        max_tokens_ = std::max(max_tokens_, request.max_tokens);
    }
}

Generation::Generation(Generation&& other) noexcept
    : client_(std::exchange(other.client_, nullptr)),
      first_id_(other.first_id_),
      num_requests_(other.num_requests_),
      place_(std::move(other.place_)),
      log_(std::move(other.log_)),
      prompt_tokens_(other.prompt_tokens_),
      max_tokens_(other.max_tokens_),
      seed_(other.seed_) {}

void Generation::keep_place() const {
    client_->admission_.shares().hold(first_id_);
}

Generation::~Generation() {
    if (client_ == nullptr) return;
    place_.charge(log_->num_tokens());
    client_->release(first_id_, num_requests_);
}

EngineClient::EngineClient(boost::asio::io_context& io, ServerState& state)
    : io_(io), state_(state), admission_(random_bits()) {}

void EngineClient::start(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
                         QueueLimits limits, std::function<void(const EngineInfo&)> on_ready,
                         std::function<void(Error)> on_failed) {
    limits_ = limits;
    EngineCallbacks callbacks;
    callbacks.ready = [this, on_ready = std::move(on_ready)](EngineInfo info) {
        boost::asio::post(io_, [this, on_ready, info = std::move(info)]() mutable {
            info_ = std::move(info);
            admission_.set_limits({.choices = max_choices_in_flight(), .tokens = limits_.max_queued_tokens},
                                  max_running());
            snapshot_.num_blocks = snapshot_.num_free_blocks = info_->capacity.num_blocks;
            if (state_.phase == ServerPhase::starting) state_.phase = ServerPhase::ready;
            on_ready(*info_);
        });
    };
    callbacks.publish = [this](StepEvents events) {
        boost::asio::post(io_, [this, events = std::move(events)]() mutable { deliver(std::move(events)); });
    };
    callbacks.failed = [this, on_failed = std::move(on_failed)](const solard::Error& failure) {
        boost::asio::post(io_, [this, on_failed, error = to_server_error(failure)] {
            fail(
                {errc::engine_unavailable, "The engine has stopped. The server is restarting; retry later."});
            on_failed(error);
        });
    };
    engine_ = std::make_unique<Engine>(std::move(make_backend), tokenizer, std::move(options),
                                       std::move(callbacks));
}

std::int64_t EngineClient::capacity_tokens() const {
    return info_ ? std::int64_t{info_->capacity.num_blocks} * kv_block_size : 0;
}

result<void> EngineClient::check_ready() const {
    if (state_.phase == ServerPhase::starting) return default_error(errc::server_starting);
    if (state_.phase == ServerPhase::draining) return default_error(errc::server_draining);
    if (state_.phase == ServerPhase::failed) return default_error(errc::engine_unavailable);
    return {};
}

result<void> EngineClient::check_open(const Caller& caller) {
    if (auto ready = check_ready(); !ready) return ready.error();
    if (auto victims = admission_.check(caller, {.choices = 1}, Clock::now()); !victims)
        return victims.error();
    return {};
}

result<void> EngineClient::check_size(std::span<const Request> requests, const Demand& demand) const {
    for (const Request& request : requests) {
        const auto size = static_cast<std::int64_t>(request.prompt.size()) + request.max_tokens;
        if (size > capacity_tokens())
            return Error{errc::invalid_value,
                         "The prompt and max_tokens together need " + std::to_string(size) +
                             " tokens, but the KV cache holds " + std::to_string(capacity_tokens()) +
                             "; lower max_tokens or shorten the prompt.",
                         "max_tokens"};
    }
    if (demand.choices > max_choices_in_flight())
        return Error{errc::invalid_value,
                     "The request asks for " + std::to_string(demand.choices) +
                         " choices in total, but the server accepts only " +
                         std::to_string(max_choices_in_flight()) + "; send fewer prompts.",
                     "prompt"};
    return {};
}

result<Generation> EngineClient::submit(std::vector<Request> requests, const Caller& caller,
                                        Quota::Place place, bool keep_token_ids,
                                        std::optional<CallRules> calls) {
    if (auto ready = check_ready(); !ready) return ready.error();
    Demand demand = demand_of(requests);
    if (auto possible = check_size(requests, demand); !possible) return possible.error();
    const auto now = Clock::now();
    const auto victims = admission_.check(caller, demand, now);
    if (!victims) return victims.error();

    const std::uint32_t num_choices = requests.front().num_choices;
    const RequestId first_id = next_id_;
    const auto num_prompts = static_cast<std::uint32_t>(requests.size());
    auto log = std::make_shared<GenerationLog>(num_prompts * num_choices, keep_token_ids, num_prompts,
                                               std::move(calls));
    ++num_generations_;
    Generation generation(*this, first_id, requests, std::move(place), log);
    log->set_times({.accepted = now});
    admission_.add(first_id, caller, demand, now);
    const auto num_active = static_cast<std::int32_t>(admission_.shares().num_active(caller));
    const Principal principal{.id = caller.principal, .weight = std::max(owner_weight / num_active, 1)};
    std::uint32_t first_output = 0;
    try {
        for (Request& request : requests) {
            request.id = next_id_++;
            request.principal = principal;
            const auto prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
            InFlight entry{.log = log,
                           .first_output = first_output,
                           .prompt = first_output / num_choices,
                           .generation = first_id,
                           .queued_tokens = prompt_tokens,
                           .choices_left = num_choices,
                           .prompt_tokens = static_cast<std::size_t>(prompt_tokens),
                           .num_prompt_logprobs = request.num_prompt_logprobs,
                           .times = {.accepted = now}};
            if (!submit_one(std::move(request), std::move(entry))) {
                // ~Generation() cancels the requests which were submitted already. The engine will not report
                // on the other requests, so their places are released here.
                admission_.shares().release(first_id, demand);
                return admission_.refusal(errc::server_overloaded, "The engine's command queue is full",
                                          caller, num_choices, now);
            }
            demand -= {.choices = num_choices, .tokens = prompt_tokens};
            first_output += num_choices;
        }
    } catch (const std::bad_alloc&) {
        admission_.shares().release(first_id, demand);
        throw;
    }
    // Nobody loses a place for a request that the engine did not take.
    for (const RequestId victim : *victims) displace(victim);
    generation.place_.charge(generation.prompt_tokens());
    return generation;
}

// Hands the request to the engine and stores `entry` under its id. Returns false if the command queue is
// full. If this function returns false or throws, it has changed nothing.
bool EngineClient::submit_one(Request request, InFlight entry) {
    const RequestId id = request.id;
    in_flight_.emplace(id, std::move(entry));
    bool is_submitted = false;
    try {
        is_submitted = engine_->submit(std::move(request));
    } catch (const std::bad_alloc&) {
        in_flight_.erase(id);
        throw;
    }
    if (!is_submitted) in_flight_.erase(id);
    return is_submitted;
}

// If memory for the cancel command is missing, the command is pushed again after the next step: a destructor
// must not throw, and a request that is not cancelled would run although nobody wants its answer.
void EngineClient::cancel(RequestId id, InFlight& entry) {
    if (!engine_) return;
    try {
        engine_->cancel(id);
        entry.must_cancel = false;
    } catch (const std::bad_alloc&) {
        entry.must_cancel = must_retry_cancels_ = true;
    }
}

void EngineClient::retry_cancels() {
    if (!std::exchange(must_retry_cancels_, false)) return;
    for (auto& [id, entry] : in_flight_)
        if (entry.must_cancel) cancel(id, entry);
}

// The places of the displaced generation are free immediately, although the engine's last events for its
// requests are still to come.
void EngineClient::displace(RequestId first_id) {
    const Error error = admission_.displace(first_id, Clock::now());
    state_.metrics.displaced();
    for (RequestId id = first_id;; ++id) {
        const auto it = in_flight_.find(id);
        if (it == in_flight_.end() || it->second.generation != first_id) return;
        it->second.log->fail(error);
        cancel(id, it->second);
    }
}

void EngineClient::connection_closed(const Peer& peer) {
    admission_.close({.principal = peer.connection, .owner = peer.network, .connection = peer.connection});
}

void EngineClient::release(RequestId first_id, std::size_t num_requests) {
    --num_generations_;
    for (RequestId id = first_id; id < first_id + num_requests; ++id) {
        const auto it = in_flight_.find(id);
        if (it == in_flight_.end()) continue;
        // The entry stays until the engine's last event for this request, so that admission counts all
        // requests which the engine still runs.
        it->second.log->fail({errc::request_cancelled, {}});
        cancel(id, it->second);
    }
}

void EngineClient::deliver(StepEvents events) {
    snapshot_ = events.snapshot;
    const auto now = Clock::now();
    std::size_t num_ends = 0;
    for (const auto& event : events.progress) {
        const auto it = in_flight_.find(event.id);
        if (it == in_flight_.end()) continue;
        deliver_progress(event, it->second, events.snapshot);
    }
    for (const auto& event : events.events) {
        const auto it = in_flight_.find(event.id);
        if (it == in_flight_.end()) continue;
        InFlight& entry = it->second;
        measure(event, entry, events.snapshot, now);
        try {
            deliver_event(events, event, entry);
        } catch (const std::bad_alloc&) {
            entry.log->fail({errc::server_error, {}});  // only this answer fails; the loop continues
        }
        if (event.finish == FinishReason::none) continue;
        admission_.shares().release(entry.generation, {.choices = 1});
        ++num_ends;
        if (--entry.choices_left > 0) continue;
        state_.metrics.request_ended(entry.times, entry.prompt_tokens, entry.generated_tokens,
                                     events.snapshot.step_end);
        in_flight_.erase(it);
    }
    admission_.add_step(now, num_ends, snapshot_.num_waiting > 0);
    retry_cancels();
    if (engine_) engine_->recycle(std::move(events));
}

void EngineClient::deliver_progress(const ProgressEvent& event, InFlight& entry, const EngineSnapshot& step) {
    using Phase = ProgressEvent::Phase;
    GenerationLog& log = *entry.log;
    const bool waits = event.phase == Phase::queued || event.phase == Phase::preempted;
    log.set_progress({.requests_ahead = waits ? event.done : 0,
                      .prompt_tokens_done = event.phase == Phase::prefill ? event.done : 0});
    if (event.phase == Phase::queued) return log.set_queued();
    log.set_started();
    admission_.shares().hold(entry.generation);
    set_start(entry.times, step);
    log.set_times(entry.times);
}

// A request starts at the begin of the step that first computes a part of it.
void EngineClient::set_start(RequestTimes& times, const EngineSnapshot& step) {
    if (times.started != Clock::time_point{}) return;
    times.started = std::max(times.accepted, step.step_end - step.step_time);
}

void EngineClient::measure(const StepEvent& event, InFlight& entry, const EngineSnapshot& step,
                           Clock::time_point now) {
    if (event.finish != FinishReason::none) state_.metrics.choice_ended(event.finish);
    if (event.num_tokens == 0 && event.num_prompt_logprobs == 0 && event.finish != FinishReason::length)
        return;
    entry.log->set_started();
    set_start(entry.times, step);
    entry.log->set_times(entry.times);
    if (event.num_tokens == 0) {
        // With max_tokens = 0, the request ends after its prompt.
        if (event.finish == FinishReason::length && event.choice == 0)
            admission_.shares().serve(entry.generation, static_cast<std::int64_t>(entry.prompt_tokens), now);
        return;
    }
    entry.generated_tokens += event.num_tokens;
    const bool is_first = event.num_cached_tokens >= 0 && event.choice == 0;
    const auto computed =
        is_first ? static_cast<std::int64_t>(entry.prompt_tokens) - event.num_cached_tokens : 0;
    admission_.shares().serve(entry.generation, computed + event.num_tokens, now);
    RequestTimes& times = entry.times;
    if (times.first_token == Clock::time_point{}) times.first_token = step.step_end;
    if (times.first_token == step.step_end) times.num_first_tokens += event.num_tokens;
    times.last_token = step.step_end;
    entry.log->set_times(times);
    const auto previous = std::exchange(entry.last_tokens[event.choice], step.step_end);
    state_.metrics.tokens(times, previous, step.step_end, event.num_tokens);
}

void EngineClient::deliver_event(const StepEvents& events, const StepEvent& event, InFlight& entry) {
    admission_.shares().hold(entry.generation);
    if (event.num_tokens > 0 || event.finish != FinishReason::none)
        admission_.shares().release(entry.generation, {.tokens = std::exchange(entry.queued_tokens, 0)});
    if (event.finish == FinishReason::error || event.finish == FinishReason::cancelled) {
        const errc code =
            event.finish == FinishReason::error ? to_server_errc(event.error) : errc::request_cancelled;
        Error error{code, {}};
        if (code == errc::queue_timeout)
            error = admission_.unanswered({code, "The request waited too long in the queue"},
                                          entry.generation, Clock::now());
        entry.log->fail(std::move(error));
        // The log has failed as a whole, so the other choices are not needed.
        if (entry.choices_left > 1) cancel(event.id, entry);
        return;
    }
    // The choices of a request share its prompt, so its cached tokens are counted for the first one only.
    if (event.num_cached_tokens >= 0 && event.choice == 0)
        entry.log->add_cached_tokens(event.num_cached_tokens);
    if (event.num_prompt_logprobs > 0)
        entry.log->append_prompt_logprobs(entry.prompt, events.prompt_logprobs_of(event),
                                          static_cast<std::size_t>(entry.num_prompt_logprobs) + 1);
    const bool has_output = event.num_tokens > 0 || event.finish != FinishReason::none;
    if (has_output)
        entry.log->append({.output = entry.first_output + event.choice,
                           .text = events.text_of(event),
                           .num_tokens = event.num_tokens,
                           .finish = event.finish,
                           .stop = {event.matched_stop, event.matched_stop_token},
                           .logprobs = events.logprobs_of(event),
                           .token_ids = events.tokens_of(event)});
    // The log may have dropped its output because of --max-waiting-memory.
    if (entry.log->failure() && event.finish == FinishReason::none) cancel(event.id, entry);
}

void EngineClient::drain() {
    if (state_.phase != ServerPhase::failed) state_.phase = ServerPhase::draining;
}

void EngineClient::fail(const Error& error) {
    state_.phase = ServerPhase::failed;
    fail_all(error);
}

void EngineClient::fail_all(const Error& error) {
    for (auto& [id, entry] : in_flight_) {
        entry.log->fail(error);
        cancel(id, entry);
    }
}

}  // namespace solard::server
