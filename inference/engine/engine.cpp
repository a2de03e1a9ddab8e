#include "inference/engine/engine.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <variant>

#include "inference/engine/command_queue.hpp"
#include "inference/engine/engine_core.hpp"
#include "inference/engine/step_budget.hpp"

namespace solard {
namespace {

// The number of StepEvents that are kept for reuse. If none of them is left, new StepEvents are allocated.
constexpr std::size_t max_spare_events = 8;

Error describe(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const ErrorException& e) {
        return e.error;
    } catch (const std::bad_alloc&) {
        return {
            errc::backend_failed,
            "not enough memory for the model and its KV cache: lower --kv-cache-memory or serve a smaller "
            "model"};
    } catch (const std::exception& e) {
        return {errc::backend_failed, std::string("the inference backend failed: ") + e.what()};
    } catch (...) {
        return {errc::backend_failed, "the inference backend failed with an unknown exception"};
    }
}

void require_one_full_sequence(const BackendCapacity& capacity) {
    if (std::int64_t{capacity.num_blocks} * kv_block_size >= capacity.max_model_len) return;
    throw ErrorException({errc::bad_configuration,
                          "the KV cache holds " + std::to_string(capacity.num_blocks * kv_block_size) +
                              " tokens, but one sequence may have " + std::to_string(capacity.max_model_len) +
                              ": raise --kv-cache-memory or lower --max-model-len"});
}

}  // namespace

struct Engine::Impl {
    Impl(BackendFactory factory, const Tokenizer& tok, EngineOptions opts, EngineCallbacks cbs)
        : make_backend(std::move(factory)),
          tokenizer(tok),
          options(std::move(opts)),
          callbacks(std::move(cbs)),
          queue(options.command_queue_capacity) {}

    void run();
    void start();
    std::int32_t step_budget(const BackendCapacity& capacity);
    bool drain_commands();
    void publish();
    void fail(const Error& error);
    void expose_backend(std::unique_ptr<Backend> made);

    BackendFactory make_backend;
    const Tokenizer& tokenizer;
    const EngineOptions options;
    const EngineCallbacks callbacks;
    CommandQueue queue;

    std::atomic<bool> busy{false};
    std::atomic<bool> ended{false};
    std::atomic<std::uint64_t> num_steps{0};
    // Guards `backend`: other threads read its progress counter, and the backend must not be destroyed while
    // they read.
    mutable std::mutex backend_mutex;
    std::unique_ptr<Backend> backend;

    // Only the engine thread may use the members from here to spare_events.
    std::unique_ptr<EngineCore> core;
    std::vector<Command> commands;
    std::size_t next_command = 0;  // index in `commands` of the first command that was not executed yet
    StepEvents events;
    std::vector<StepEvents> spare_events;

    std::jthread thread;
};

void Engine::Impl::run() {
    try {
        start();
        while (drain_commands()) {
            if (!core->has_work()) continue;
            core->step(events);
            publish();
        }
        queue.close(commands);
    } catch (...) {
        fail(describe(std::current_exception()));
    }
    expose_backend(nullptr);
    ended = true;
}

void Engine::Impl::start() {
    expose_backend(make_backend());
    const BackendCapacity capacity = backend->capacity();
    require_one_full_sequence(capacity);
    const std::int32_t budget = step_budget(capacity);
    const SchedulerOptions scheduling{
        .max_num_seqs = std::min(options.max_num_seqs, capacity.max_seqs_per_step),
        .max_num_batched_tokens = budget,
        .num_blocks = capacity.num_blocks,
        .max_model_len = capacity.max_model_len,
        .eos_token_ids = options.eos_token_ids,
        .prefix_cache = options.prefix_cache,
        .hash_key = options.hash_key,
        .max_speculative_step_rows = options.max_speculative_step_rows};
    core = std::make_unique<EngineCore>(*backend, tokenizer, scheduling);
    callbacks.ready({capacity, backend->description(), budget, max_running(scheduling)});
}

std::int32_t Engine::Impl::step_budget(const BackendCapacity& capacity) {
    if (options.max_num_batched_tokens > 0) {
        return std::min(options.max_num_batched_tokens, capacity.max_tokens_per_step);
    }
    return choose_step_budget(std::min(capacity.max_tokens_per_step, capacity.max_model_len),
                              [this](std::int32_t num_tokens) { return time_chunk(*backend, num_tokens); });
}

// Executes all queued commands. If the engine has no work, first waits for a command. Returns false if the
// engine must stop.
bool Engine::Impl::drain_commands() {
    const bool idle = !core->has_work();
    if (idle) core->check_integrity();
    busy = !idle;
    queue.take(commands, idle);
    busy = true;
    for (next_command = 0; next_command < commands.size();) {
        Command& command = commands[next_command++];
        if (auto* request = std::get_if<Request>(&command)) {
            core->submit(std::move(*request));
        } else if (const auto* cancel = std::get_if<CancelCommand>(&command)) {
            core->cancel(cancel->id);
        } else if (auto* used = std::get_if<StepEvents>(&command)) {
            if (spare_events.size() < max_spare_events) spare_events.push_back(std::move(*used));
        } else {
            return false;
        }
    }
    return true;
}

void Engine::Impl::publish() {
    num_steps.fetch_add(1, std::memory_order_relaxed);
    callbacks.publish(std::move(events));
    events = StepEvents();
    if (spare_events.empty()) return;
    events = std::move(spare_events.back());
    spare_events.pop_back();
    events.clear();
}

// Ends every request in the scheduler and in the queue by publishing a last event for each of its choices.
// Then reports the error.
void Engine::Impl::fail(const Error& error) {
    if (core) core->abort(errc::engine_unavailable, events);
    std::vector<Command> left(
        std::make_move_iterator(commands.begin() + static_cast<std::ptrdiff_t>(next_command)),
        std::make_move_iterator(commands.end()));
    queue.close(commands);
    std::ranges::move(commands, std::back_inserter(left));
    for (const Command& command : left) {
        const auto* request = std::get_if<Request>(&command);
        for (std::uint32_t choice = 0; request != nullptr && choice < request->num_choices; ++choice) {
            events.events.push_back({.id = request->id,
                                     .choice = choice,
                                     .finish = FinishReason::error,
                                     .error = errc::engine_unavailable});
        }
    }
    events.snapshot.step_end = Clock::now();
    if (!events.events.empty()) publish();
    callbacks.failed(error);
}

// Holds the lock while swapping, so that activity() sees a complete backend or none. The backend is made and
// destroyed without the lock.
void Engine::Impl::expose_backend(std::unique_ptr<Backend> made) {
    const std::lock_guard lock(backend_mutex);
    backend.swap(made);
}

Engine::Engine(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
               EngineCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(make_backend), tokenizer, std::move(options),
                                   std::move(callbacks))) {
    impl_->thread = std::jthread([impl = impl_.get()] { impl->run(); });
}

Engine::~Engine() {
    ask_to_stop();
}

void Engine::ask_to_stop() {
    impl_->queue.push(StopCommand{});
}

bool Engine::has_ended() const {
    return impl_->ended;
}

bool Engine::submit(Request request) {
    return impl_->queue.submit(std::move(request));
}

void Engine::cancel(RequestId id) {
    impl_->queue.push(CancelCommand{id});
}

void Engine::recycle(StepEvents events) {
    impl_->queue.push(std::move(events));
}

EngineActivity Engine::activity() const {
    const std::lock_guard lock(impl_->backend_mutex);
    const std::uint64_t layers =
        impl_->backend ? impl_->backend->progress().load(std::memory_order_relaxed) : 0;
    return {.progress = impl_->num_steps.load(std::memory_order_relaxed) + layers, .busy = impl_->busy};
}

}  // namespace solard
