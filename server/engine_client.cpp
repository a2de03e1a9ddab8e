#include "server/engine_client.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/api/error.hpp"

namespace solard {
namespace {

std::int64_t part_of_one(std::int64_t all) {
    return all - all / 8;
}

}  // namespace

std::string_view name_of(ServiceState state) {
    switch (state) {
        case ServiceState::starting:
            return "starting";
        case ServiceState::ready:
            return "ready";
        case ServiceState::draining:
            return "draining";
        case ServiceState::failed:
            return "failed";
    }
    return "";
}

Generation::Generation(Generation&& other) noexcept
    : client_(std::exchange(other.client_, nullptr)), id_(other.id_), log_(std::move(other.log_)) {}

Generation::~Generation() {
    if (client_ != nullptr) client_->release(id_);
}

void EngineClient::start(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
                         AdmissionLimits limits, std::function<void(const EngineInfo&)> on_ready,
                         std::function<void(Error)> on_failed) {
    limits_ = limits;
    EngineCallbacks callbacks;
    callbacks.ready = [this, on_ready = std::move(on_ready)](EngineInfo info) {
        boost::asio::post(io_, [this, on_ready, info = std::move(info)]() mutable {
            info_ = std::move(info);
            snapshot_.num_blocks = snapshot_.num_free_blocks = info_->capacity.num_blocks;
            if (state_ == ServiceState::starting) state_ = ServiceState::ready;
            on_ready(*info_);
        });
    };
    callbacks.publish = [this](StepEvents events) {
        boost::asio::post(io_, [this, events = std::move(events)]() mutable { deliver(std::move(events)); });
    };
    callbacks.failed = [this, on_failed = std::move(on_failed)](Error error) {
        boost::asio::post(io_, [this, on_failed, error = std::move(error)] {
            fail({errc::engine_unavailable, "The engine stopped; the server is restarting."});
            on_failed(error);
        });
    };
    engine_ = std::make_unique<Engine>(std::move(make_backend), tokenizer, std::move(options),
                                       std::move(callbacks));
}

std::int64_t EngineClient::capacity_tokens() const {
    return info_ ? std::int64_t{info_->capacity.num_blocks} * kv_block_size : 0;
}

result<void> EngineClient::check_open() const {
    if (state_ == ServiceState::starting)
        return Error{errc::server_starting, std::string(message_of(errc::server_starting))};
    if (state_ == ServiceState::draining)
        return Error{errc::server_draining, std::string(message_of(errc::server_draining))};
    if (state_ == ServiceState::failed)
        return Error{errc::engine_unavailable, std::string(message_of(errc::engine_unavailable))};
    if (load_.choices >= max_running() + limits_.max_queued_requests)
        return Error{errc::server_overloaded, "The waiting queue is full; try again later."};
    return {};
}

result<void> EngineClient::admit(const Request& request) const {
    if (auto open = check_open(); !open) return open.error();
    const auto prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
    if (prompt_tokens + request.max_tokens > capacity_tokens())
        return Error{errc::invalid_value,
                     "prompt and max_tokens need more than the KV cache holds (" +
                         std::to_string(capacity_tokens()) + " tokens)",
                     "max_tokens"};
    // A single request always passes: it would otherwise never be served.
    if (load_.queued_tokens > 0 && load_.queued_tokens + prompt_tokens > limits_.max_queued_tokens)
        return Error{errc::server_overloaded, "Too many prompt tokens are waiting; try again later."};
    const auto found = loads_.find(request.principal.id);
    if (found == loads_.end()) return {};
    const Load& own = found->second;
    if (own.choices + request.num_choices > part_of_one(max_running() + limits_.max_queued_requests) ||
        (own.queued_tokens > 0 && own.queued_tokens + prompt_tokens > part_of_one(limits_.max_queued_tokens)))
        return Error{errc::rate_limit_exceeded, "Too much of yours is waiting; try again later."};
    return {};
}

result<Generation> EngineClient::submit(Request request) {
    if (auto ok = admit(request); !ok) return ok.error();
    const RequestId id = request.id = next_id_++;
    const auto prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
    const std::uint32_t num_choices = request.num_choices;
    const std::uint64_t principal = request.principal.id;
    if (!engine_->submit(std::move(request)))
        return Error{errc::server_overloaded, "The engine's queue is full; try again later."};
    auto log = std::make_shared<ResponseLog>(num_choices);
    in_flight_.emplace(id, InFlight{log, principal, prompt_tokens, num_choices});
    charge(principal, num_choices, prompt_tokens);
    ++num_generations_;
    return Generation(*this, id, std::move(log));
}

void EngineClient::release(RequestId id) {
    --num_generations_;
    const auto it = in_flight_.find(id);
    if (it == in_flight_.end()) return;
    // The entry stays until the engine's last event, so that admission counts what really runs.
    it->second.log->fail({errc::request_cancelled, "The request was cancelled."});
    if (engine_) engine_->cancel(id);
}

void EngineClient::deliver(StepEvents events) {
    snapshot_ = events.snapshot;
    for (const auto& event : events.events) {
        const auto it = in_flight_.find(event.id);
        if (it == in_flight_.end()) continue;
        deliver_event(events, event, it->second);
        if (event.finish == FinishReason::none) continue;
        charge(it->second.principal, -1, 0);
        if (--it->second.choices_left == 0) in_flight_.erase(it);
    }
    if (engine_) engine_->recycle(std::move(events));
}

void EngineClient::deliver_event(const StepEvents& events, const StepEvent& event, InFlight& entry) {
    charge(entry.principal, 0, -std::exchange(entry.queued_tokens, 0));
    if (event.finish == FinishReason::error || event.finish == FinishReason::cancelled) {
        const errc code = event.finish == FinishReason::error ? event.error : errc::request_cancelled;
        entry.log->fail({code, std::string(message_of(code))});
        // Nobody waits for the other choices.
        if (engine_ && entry.choices_left > 1) engine_->cancel(event.id);
        return;
    }
    if (event.num_cached_tokens >= 0) entry.log->set_cached_tokens(event.num_cached_tokens);
    entry.log->append(event.choice, events.text_of(event), event.num_tokens, event.finish,
                      events.logprobs_of(event), {event.matched_stop, event.matched_stop_token});
}

void EngineClient::charge(std::uint64_t principal, std::int64_t choices, std::int64_t tokens) {
    load_.add(choices, tokens);
    const auto own = loads_.try_emplace(principal).first;
    own->second.add(choices, tokens);
    if (own->second.choices == 0) loads_.erase(own);
}

void EngineClient::drain() {
    if (state_ != ServiceState::failed) state_ = ServiceState::draining;
}

void EngineClient::fail(const Error& error) {
    state_ = ServiceState::failed;
    fail_all(error);
}

void EngineClient::fail_all(const Error& error) {
    for (auto& [id, entry] : in_flight_) {
        entry.log->fail(error);
        if (engine_) engine_->cancel(id);
    }
}

}  // namespace solard
