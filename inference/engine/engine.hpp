// The engine thread: one backend, one scheduler, one command queue.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "inference/backend.hpp"
#include "inference/model/tokenizer.hpp"
#include "inference/request.hpp"
#include "inference/scheduling/block_hash.hpp"

namespace solard {

struct EngineOptions {
    std::int32_t max_num_seqs = 64;           // sequences of one step
    std::int32_t max_num_batched_tokens = 0;  // tokens of one step; 0 = timed at start for <= 250 ms a step
    std::size_t command_queue_capacity = 4096;
    std::vector<TokenId> eos_token_ids = {};
    bool prefix_cache = true;
    HashKey hash_key = {};                // random, of the process
    std::int32_t speculation_tokens = 0;  // as SchedulerOptions
};

// What a watchdog wants to know: while `busy`, `progress` must grow.
struct EngineActivity {
    std::uint64_t progress = 0;  // steps, and layers within a step
    bool busy = false;           // has work; false while it loads and when idle
};

struct EngineInfo {
    BackendCapacity capacity;
    std::string backend;                      // Backend::description()
    std::int32_t max_num_batched_tokens = 0;  // in force
    std::int32_t max_running = 0;             // sequences at once, in force
};

// Every callback runs on the engine thread and must only hand over (one post), never block.
struct EngineCallbacks {
    std::function<void(EngineInfo)> ready;    // once, before the first step
    std::function<void(StepEvents)> publish;  // once per step that did anything
    std::function<void(Error)> failed;        // once: the backend could not be made or broke; the thread ends
};

using BackendFactory = std::function<std::unique_ptr<Backend>()>;

// Members may be called from any one thread (the I/O thread); they only enqueue.
class Engine {
  public:
    // Starts the thread, which makes the backend itself. `tokenizer` outlives the engine.
    Engine(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
           EngineCallbacks callbacks);
    // Stops at the next step boundary and joins. Unfinished requests get no further event.
    ~Engine();

    // False when the command queue is full or the engine has ended: the request was not taken.
    bool submit(Request request);
    // Takes effect within one step: the request's last event is `cancelled`, unless it finished first.
    void cancel(RequestId id);
    // Hands an event vector back for reuse.
    void recycle(StepEvents events);
    // From any thread.
    EngineActivity activity() const;
    // Asks the thread to stop at the next step boundary; has_ended() once it did, and then the destructor
    // waits for nothing.
    void ask_to_stop();
    bool has_ended() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard
