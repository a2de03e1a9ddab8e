// The engine's step, without its thread: scheduler, forward pass, stop rules and events.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "inference/backend.hpp"
#include "inference/model/tokenizer.hpp"
#include "inference/scheduling/scheduler.hpp"

namespace solard {

// Must be used by one thread at a time. `backend` and `tokenizer` must outlive the object.
class EngineCore {
  public:
    using TimeSource = std::function<Clock::time_point()>;

    EngineCore(Backend& backend, const Tokenizer& tokenizer, const SchedulerOptions& options,
               TimeSource time_source = Clock::now);

    void submit(Request request) { scheduler_.add(std::move(request)); }
    // Cancels a request in the next step. The last event of each choice then has FinishReason::cancelled,
    // unless the choice has finished before.
    void cancel(RequestId id) { scheduler_.cancel(id); }
    bool has_work() const { return scheduler_.has_work(); }

    // Runs one step and appends its events to `events`. May be called only if has_work() returns true. Throws
    // std::logic_error if no sequence advances, and passes on the exceptions of the backend. After an
    // exception, only abort() may be called.
    void step(StepEvents& events);
    // Ends every unfinished choice: its last event carries `error`.
    void abort(errc error, StepEvents& events);

    // May be called when idle or between steps. Throws std::logic_error if the state of the scheduler is
    // inconsistent; the message names the fault.
    void check_integrity() const { scheduler_.check_integrity(); }

  private:
    void report(const Scheduler::Advance& advance, StepEvents& events);
    void report_token(const Scheduler::Advance& advance, std::int32_t index, StepEvent& event,
                      StepEvents& events);
    void measure(Clock::time_point begin, StepEvents& events);

    Backend& backend_;
    const Tokenizer& tokenizer_;
    TimeSource now_;
    Scheduler scheduler_;
    StepResults results_;
    std::vector<std::uint32_t> masks_;  // of the step in flight
    std::uint64_t generated_tokens_ = 0;
    // The tokens and the time of recent steps. Both are halved about once per second, so that their ratio
    // follows the current rate.
    double recent_tokens_ = 0;
    double recent_seconds_ = 0;
};

}  // namespace solard
