// Which sequence computes what in the next step: continuous batching over paged KV memory.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "inference/backend.hpp"
#include "inference/block_pool.hpp"
#include "inference/request.hpp"
#include "inference/sequence.hpp"

namespace solard {

struct SchedulerOptions {
    std::int32_t max_num_seqs = 1;            // running at once
    std::int32_t max_num_batched_tokens = 1;  // of one step
    std::int32_t num_blocks = 1;
    std::int32_t max_model_len = 1;
};

// Pure: no clock, no thread, no device. A step is schedule(), the forward pass, complete(), finish() for each
// sequence that ended by its text; add() and cancel() may be called at any point between them.
//
// Policy. First come, first served. A running sequence that decodes gets its token in every step; what is
// left of the budget goes to prompts, oldest first, so that a long prompt delays nobody by more than one
// step. At most max_num_batched_tokens sequences run, so the budget always covers them. Where blocks run out,
// the sequence that arrived last gives up its own and is computed again later (preemption by recompute); the
// oldest never does, hence every step advances at least one sequence.
//
// A request that can never fit ends with context_length_exceeded (one that asks for nothing: invalid_value),
// one that waits beyond its queue deadline with queue_timeout, one that is not finished by its request
// deadline with server_overloaded.
class Scheduler {
  public:
    explicit Scheduler(const SchedulerOptions& options);

    void add(Request request);
    // Drops the request's sequence, also from a step in flight; unknown ids are ignored.
    void cancel(RequestId id);
    // Ends everything with `error`, also what a step in flight computes; complete({}) reports it.
    void abort(errc error);

    // The next step's work; empty when nothing runs. Valid until the next call.
    const ForwardBatch& schedule(Clock::time_point now);
    // Books the step that schedule() returned: appends the sampled tokens and frees what the step held.
    // Returns every sequence with something to report, each once: those that got a token (finish == none),
    // and those that ended since the last call (any other finish). Valid until the next schedule().
    std::span<Sequence* const> complete(const StepResults& results);
    // Ends a sequence that complete() returned, so that its blocks are free for the next step.
    void finish(Sequence& sequence, FinishReason reason);

    // Is there anything to compute or to report?
    bool has_work() const { return !running_.empty() || !waiting_.empty() || !ended_.empty(); }
    EngineSnapshot snapshot() const;
    // Throws std::logic_error that says what is wrong.
    void check_integrity() const;

  private:
    using SequencePtr = std::unique_ptr<Sequence>;

    std::optional<errc> why_refused(const Request& request) const;
    void expire(Clock::time_point now);
    void admit();
    template <class Predicate>
    void schedule_running(Predicate is_wanted);
    void schedule_tokens(Sequence& sequence);
    void preempt_last();
    void fill_batch();
    void append_to_batch(const Sequence& sequence);

    SequencePtr take(RequestId id);
    void end(SequencePtr sequence, FinishReason reason, errc error = errc::server_error);
    void release_blocks(Sequence& sequence);
    std::int32_t blocks_ahead(const Sequence& sequence) const;

    SchedulerOptions options_;
    BlockPool pool_;
    std::deque<SequencePtr> waiting_;   // by arrival, all of it after running_
    std::vector<SequencePtr> running_;  // by arrival
    std::vector<SequencePtr> ended_;    // not yet returned by complete()
    std::vector<SequencePtr> reported_;

    ForwardBatch batch_;
    std::vector<Sequence*> scheduled_;  // of the step in flight, in batch order
    std::vector<Sequence*> returned_;   // by complete()
    std::vector<BlockId> quarantine_;   // released while the step in flight may still touch them
    std::int32_t tokens_left_ = 0;      // of this step's budget

    std::uint64_t arrivals_ = 0;
    EngineSnapshot counters_;  // steps, preemptions, tokens
};

}  // namespace solard
