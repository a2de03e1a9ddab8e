// Chooses what each sequence computes in the next step: continuous batching over paged KV memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inference/backend.hpp"
#include "inference/request.hpp"
#include "inference/scheduling/admission.hpp"
#include "inference/scheduling/block_tables.hpp"
#include "inference/scheduling/progress.hpp"
#include "inference/scheduling/sequence.hpp"
#include "inference/scheduling/speculation.hpp"
#include "inference/scheduling/step_masks.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

struct SchedulerOptions {
    std::int32_t max_num_seqs = 1;  // limit on running sequences (see max_running()) and on rows of a step
    std::int32_t max_num_batched_tokens = 1;  // limit on the tokens of one step
    std::int32_t num_blocks = 1;
    std::int32_t max_model_len = 1;
    std::vector<TokenId> eos_token_ids = {};
    bool prefix_cache = true;
    HashKey hash_key = {};  // secret of the process
    // If a step only decodes, drafts are added until the step has this many rows; 0 = no speculation.
    std::int32_t max_speculative_step_rows = 0;
};

// Returns how many sequences may run at the same time. Decoding all of them takes at most three quarters of a
// step's budget. The rest of the budget is kept for prompts. If the budget is below four tokens, there is no
// rest.
std::int32_t max_running(const SchedulerOptions& options);

// Reads no clock, starts no thread and calls no device. A step consists of schedule(), the forward pass,
// complete(), and finish() for each sequence whose answer ended by the stop rules. add() and cancel() may be
// called between any two of these calls.
//
// A step is planned in this order:
// - Each sequence that decodes gets its token.
// - Principals take turns to admit a waiting request. As long as a prompt of a principal is being
//   computed, the principal starts another request only if the running prompts leave a part of the budget.
//   The first request that does not fit keeps its turn. While this request waits, other requests may use free
//   capacity before it: at most max_running() requests, and only of principals below their share. So every
//   wait is bounded.
// - A principal below its share may also preempt a running sequence. The victim is the youngest sequence of
//   the principal furthest above its share. That principal must be further above its share than the
//   newcomer's principal will be.
// - Prompts get the rest of the budget. Deficit round robin divides it between principals (decodes are
//   charged, drafts are not), and each principal's oldest prompt comes first. A long prompt is computed in
//   chunks and delays no decode by more than one step.
// - Drafts come last. They use only free blocks and the rest of the budget.
//
// If a running sequence finds no free block, another sequence gives up its blocks and is computed again later
// (preemption by recomputation). The victim is the last arrived sequence of the principal furthest above its
// share. If no principal is above its share, the victim is the last arrived sequence of all. A sequence takes
// blocks only from sequences that this rule would choose before itself. If there is no such sequence, it
// waits. A sequence that was preempted four times gives up its blocks only to older sequences. The oldest
// sequence may take blocks from every other sequence and gives up its blocks to none, so every step advances
// at least one sequence.
//
// Errors of a request:
// - context_length_exceeded: the request can never fit.
// - invalid_request: the prompt is empty, or max_tokens, num_choices, num_logprobs or num_prompt_logprobs is
//   out of range. All choices of a request must be able to run at the same time, which limits num_choices.
// - queue_timeout: the request waited beyond its queue deadline.
// - deadline_exceeded: the request was not finished by its request deadline.
// - numerical_error: the logits were not finite.
// - grammar_dead_end: the grammar of the answer allowed no token, or became too slow.
class Scheduler {
  public:
    explicit Scheduler(const SchedulerOptions& options);
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    void add(Request request);
    // Ends the request's sequences, also those in a step in flight. complete() reports the ended sequences.
    // Ignores unknown ids.
    void cancel(RequestId id);
    // Ends all requests with `error`, also those in a step in flight. complete({}) reports their sequences.
    void abort(errc error);

    // Returns the next step's work, which is empty if nothing runs. The batch is valid until the next call of
    // schedule().
    const ForwardBatch& schedule(Clock::time_point now);

    // Writes the masks of the rows of the batch that schedule() returned (see Backend::sample()).
    void fill_masks(std::vector<std::uint32_t>& masks) const { solard::fill_masks(scheduled_, masks); }

    // A sequence with something to report. It has `num_tokens` new tokens at the end of its token_ids, drawn
    // from the results rows `first_row` and following, or new scores of its prompt, or both. Or it has none
    // of them: it has ended (finish != none), or max_tokens is 0 and its prompt has been computed.
    struct Advance {
        Sequence* sequence = nullptr;
        std::int32_t num_tokens = 0;
        std::int32_t first_row = 0;
        std::int32_t first_score = 0;  // index in StepResults::scores
        std::int32_t num_scores = 0;
    };
    // Applies the results of the step that schedule() returned, and frees the blocks that were released
    // during the step. Returns one entry for each sequence with something to report. The entries are valid
    // until the next schedule().
    std::span<const Advance> complete(const StepResults& results);
    // Ends a sequence that complete() returned, so that its blocks are free for the next step.
    void finish(Sequence& sequence, FinishReason reason);

    // Returns true if there is anything to compute or to report.
    bool has_work() const {
        return !state_.running.empty() || state_.shares.num_waiting() > 0 || !ended_.empty();
    }
    EngineSnapshot snapshot() const;
    // Appends the stage of each sequence whose stage has changed since the last call.
    void append_progress(std::vector<ProgressEvent>& out) { progress_.append_changes(state_, out); }
    // If the state is inconsistent, throws std::logic_error with a message that names the fault.
    void check_integrity() const;

  private:
    std::optional<errc> why_refused(const Request& request) const;

    void expire(Clock::time_point now);
    void begin_step();
    void schedule_decodes();
    void schedule_prefills();
    void serve_prefills(PrincipalShare& principal);
    std::int32_t schedule_tokens(Sequence& sequence, std::int32_t max_tokens);

    void accept_results(Sequence& sequence, bool samples, const StepResults& results);
    void start_forks(Sequence& leader, const StepResults& results);

    template <class Predicate>
    void end_running(Predicate matches, FinishReason reason, errc error);
    template <class Predicate>
    void end_waiting(Predicate matches, FinishReason reason, errc error);
    SequencePtr take_running(const Sequence& sequence);
    void end(SequencePtr sequence, FinishReason reason, errc error);

    SchedulerOptions options_;
    StepState state_;
    BlockTables tables_;
    Admission admission_;
    Speculation speculation_;
    ProgressReport progress_;

    ForwardBatch batch_;
    std::vector<Sequence*> scheduled_;   // scheduled in the step in flight, in batch order
    std::vector<Advance> advanced_;      // returned by complete()
    std::vector<SequencePtr> ended_;     // ended, but not yet returned by complete()
    std::vector<SequencePtr> reported_;  // returned by complete(); kept in memory until the next schedule()
    std::vector<SequencePtr> ending_;    // used in end_waiting() only; kept to reuse its memory
    std::uint64_t num_arrivals_ = 0;
    std::uint64_t num_steps_ = 0;
};

}  // namespace solard
