// Which sequence computes what in the next step: continuous batching over paged KV memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inference/backend.hpp"
#include "inference/request.hpp"
#include "inference/scheduling/block_pool.hpp"
#include "inference/scheduling/fair_share.hpp"
#include "inference/scheduling/sequence.hpp"

namespace solard {

struct SchedulerOptions {
    std::int32_t max_num_seqs = 1;            // running at once, see max_running(); also rows of one step
    std::int32_t max_num_batched_tokens = 1;  // of one step
    std::int32_t num_blocks = 1;
    std::int32_t max_model_len = 1;
    std::vector<TokenId> eos_token_ids = {};
    bool prefix_cache = true;
    HashKey hash_key = {};  // secret of the process
    // A step that only decodes is filled up with drafts to so many tokens; 0 = no speculation.
    std::int32_t speculation_tokens = 0;
};

// Sequences that run at once: three quarters of a step's budget serve their decodes, prompts keep the rest
// (of a budget below four tokens nothing).
std::int32_t max_running(const SchedulerOptions& options);

// Pure: no clock, no thread, no device. A step is schedule(), the forward pass, complete(), finish() for each
// sequence that ended by its text; add() and cancel() may be called at any point between them.
//
// Policy of a step, in this order:
// - A sequence that decodes gets its token.
// - Principals take turns to admit a waiting request, each with at most one prompt under way unless budget is
//   left over. The first whose request finds no room keeps its turn. As long as it does, only principals
//   below their share pass it into free room, and only so many as may run at once: every wait is bounded.
//   Who is below its share makes room by preemption where there is none: the youngest sequence of the
//   principal furthest above its share gives way, if that one is further above than the newcomer comes.
// - What is left of the budget goes to prompts: between principals by deficit round robin (decodes are
//   charged, drafts are not), within one oldest first. A long prompt rides in chunks and delays no decode by
//   more than one step.
// - What is left then may verify drafts, in blocks that are free.
// Where a running sequence finds no block, one gives up its own and is computed again later (preemption by
// recompute): of the principal furthest above its share the last arrived; where nobody is above, the last
// arrived. Nobody takes from one that precedes it in that order; a sequence preempted four times yields only
// to older ones; the oldest takes from anybody and gives to nobody, hence every step advances at least one
// sequence.
//
// A request that can never fit ends with context_length_exceeded (one that asks for nothing, or for more
// choices than can run together: invalid_value), one that waits beyond its queue deadline with queue_timeout,
// one that is not finished by its request deadline with server_overloaded.
class Scheduler {
  public:
    explicit Scheduler(const SchedulerOptions& options);

    void add(Request request);
    // Drops the request's sequences, also from a step in flight; unknown ids are ignored.
    void cancel(RequestId id);
    // Ends everything with `error`, also what a step in flight computes; complete({}) reports it.
    void abort(errc error);

    // The next step's work; empty when nothing runs. Valid until the next call.
    const ForwardBatch& schedule(Clock::time_point now);

    // A sequence with something to report: `num_tokens` new ones at the end of its token_ids, the first of
    // which came from results row `first_row`, the others from those after it; or none, and its end (finish
    // != none).
    struct Advance {
        Sequence* sequence = nullptr;
        std::int32_t num_tokens = 0;
        std::int32_t first_row = 0;
    };
    // Books the step that schedule() returned and frees what it held. Returns everything to report, each
    // sequence once; valid until the next schedule().
    std::span<const Advance> complete(const StepResults& results);
    // Ends a sequence that complete() returned, so that its blocks are free for the next step.
    void finish(Sequence& sequence, FinishReason reason);

    // Is there anything to compute or to report?
    bool has_work() const { return !running_.empty() || shares_.num_waiting() > 0 || !ended_.empty(); }
    EngineSnapshot snapshot() const;
    // Appends where each sequence stands if that changed since the last call.
    void append_progress(std::vector<ProgressEvent>& out);
    // Throws std::logic_error that says what is wrong.
    void check_integrity() const;

  private:
    // What a waiting sequence needs to run.
    struct Need {
        std::int32_t slots = 0;
        std::int32_t blocks = 0;         // that are free now
        std::int32_t cached_blocks = 0;  // of its table, found in the prefix cache
    };

    // What nobody has and no running sequence will need next; also what prompts under way still want of the
    // budget, and how far above its share the furthest principal is.
    struct Room {
        std::int32_t slots = 0;
        std::int32_t blocks = 0;
        std::int64_t prefill_tokens = 0;
        std::int64_t largest_excess = 0;
    };

    std::optional<errc> why_refused(const Request& request) const;
    void expire(Clock::time_point now);
    void begin_step();
    void schedule_decodes();
    void schedule_prefills();
    void serve_prefills(PrincipalShare& principal);
    std::int32_t schedule_tokens(Sequence& sequence, std::int32_t most);
    void schedule_drafts();
    void append_draft(Sequence& sequence, std::int32_t most);
    bool accept_results(Sequence& sequence, const StepResults& results);
    std::int32_t keep_confirmed_drafts(Sequence& sequence, const StepResults& results);
    void start_forks(Sequence& leader, const StepResults& results);

    // admission.cpp: who gets slots and blocks.
    void admit();
    bool admit_first(PrincipalShare& principal, const Room& room, bool passes_another);
    Room look_for_room() const;
    Need need_of(Sequence& sequence);
    void keep_turn(std::size_t index);
    bool make_room(const Sequence& newcomer, const Need& need, std::int64_t excess, std::int32_t slots,
                   std::int32_t blocks);
    std::int32_t blocks_freed_with(const Sequence& victim);
    void start(PrincipalShare& principal, const Need& need);
    Sequence* victim_for(const Sequence& needy) const;
    Sequence* victim_above(std::int64_t excess, const Sequence& newcomer) const;
    void preempt(Sequence& victim);
    std::int32_t blocks_ahead(const Sequence& sequence) const;
    std::int32_t room_for(const Sequence& sequence) const;
    bool writes_shared_block(const Sequence& sequence) const;
    void grow_table(Sequence& sequence, std::int32_t num_tokens);
    void trim_table(Sequence& sequence, std::int32_t num_tokens);
    void name_blocks(Sequence& sequence, std::int32_t num_blocks);
    void register_blocks(Sequence& sequence);
    void release(BlockId block);
    void leave(Sequence& sequence);

    SequencePtr take_running(const Sequence& sequence);
    void insert_running(SequencePtr sequence);
    void end(SequencePtr sequence, FinishReason reason, errc error = errc::server_error);

    SchedulerOptions options_;
    std::int32_t max_running_;  // slots
    BlockPool pool_;
    FairShare shares_;
    std::vector<SequencePtr>
        running_;                     // by arrival; preemption leaves a null while a step is being scheduled
    std::vector<SequencePtr> ended_;  // not yet returned by complete()
    std::vector<SequencePtr> reported_;

    ForwardBatch batch_;
    std::vector<Sequence*> scheduled_;  // of the step in flight, in batch order
    std::vector<Advance> advanced_;     // returned by complete()
    std::vector<SequencePtr> expired_;
    std::vector<Sequence*> victims_;
    std::vector<std::int32_t> victim_references_;  // [num_blocks], 0 between uses
    std::vector<PrincipalShare*> round_;
    std::vector<BlockId> quarantine_;                // released while a step may still touch them
    std::vector<BlockId> copy_sources_;              // of this step
    std::int32_t tokens_left_ = 0;                   // of this step's budget
    std::uint64_t turn_keeper_ = ~std::uint64_t{0};  // arrival of the request that keeps its turn
    std::int32_t num_passed_ = 0;                    // admissions past it into free room

    std::uint64_t arrivals_ = 0;
    EngineSnapshot counters_;  // what only grows
};

}  // namespace solard
