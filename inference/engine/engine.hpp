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
    std::int32_t max_num_seqs = 64;           // limit on the sequences of one step
    std::int32_t max_num_batched_tokens = 0;  // limit on the tokens of one step; 0 = measured at start
    std::size_t command_queue_capacity = 4096;
    std::vector<TokenId> eos_token_ids = {};
    bool prefix_cache = true;
    HashKey hash_key = {};                       // a random secret of the process
    std::int32_t max_speculative_step_rows = 0;  // as in SchedulerOptions
};

// The state that a watchdog observes: while `busy` is true, `progress` must grow.
struct EngineActivity {
    std::uint64_t progress = 0;  // number of finished steps plus number of finished layers
    bool busy = false;           // true if there is work; false while the engine loads or is idle
};

struct EngineInfo {
    BackendCapacity capacity;
    std::string backend;                      // Backend::description()
    std::int32_t max_num_batched_tokens = 0;  // the value in use
    std::int32_t max_running = 0;             // the number of sequences that may run at the same time
};

// All callbacks run on the engine thread. A callback must only post its argument to another thread, and must
// not block.
struct EngineCallbacks {
    std::function<void(EngineInfo)> ready;    // called once, before the first step
    std::function<void(StepEvents)> publish;  // called once per step
    std::function<void(Error)>
        failed;  // called once, if the backend cannot be made or fails; after that, the thread ends
};

using BackendFactory = std::function<std::unique_ptr<Backend>()>;

// The members may be called from one thread only (the I/O thread), unless their comment says otherwise.
// submit(), cancel(), recycle() and ask_to_stop() only enqueue a command.
class Engine {
  public:
    // Starts the thread, which makes the backend. `tokenizer` must outlive the engine.
    Engine(BackendFactory make_backend, const Tokenizer& tokenizer, EngineOptions options,
           EngineCallbacks callbacks);
    // Stops the thread at the next step boundary and joins it. Unfinished requests get no further event.
    ~Engine();

    // If the command queue is full or the engine has ended, discards the request and returns false.
    bool submit(Request request);
    // Cancels a request within one step. The last event of each choice then has FinishReason::cancelled,
    // unless the choice has finished before.
    void cancel(RequestId id);
    // Hands an event vector back for reuse.
    void recycle(StepEvents events);
    // May be called from any thread.
    EngineActivity activity() const;
    // Asks the thread to stop at the next step boundary. When the thread has stopped, has_ended() returns
    // true and the destructor does not have to wait.
    void ask_to_stop();
    bool has_ended() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard
