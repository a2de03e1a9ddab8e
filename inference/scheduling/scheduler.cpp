#include "inference/scheduling/scheduler.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "inference/scheduling/batch_builder.hpp"
#include "inference/scheduling/integrity.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

SchedulerOptions checked(SchedulerOptions options) {
    if (options.max_num_seqs < 1 || options.max_num_batched_tokens < 1 || options.num_blocks < 1) {
        throw std::invalid_argument("the scheduler needs at least one sequence, one token and one block");
    }
    return options;
}

// Returns false if a row of logits of the sequence was not finite: the row that chooses its next token, or a
// row in which a token of its prompt was looked up.
bool are_finite(const Sequence& sequence, bool samples, const StepResults& results) {
    if (samples && !results.rows.at(count_of(sequence.first_row)).finite) return false;
    for (std::int32_t i = 0; i < sequence.num_scores; i += 1 + sequence.request.num_prompt_logprobs) {
        if (results.scores.at(count_of(sequence.first_score + i)).rank == 0) return false;
    }
    return true;
}

}  // namespace

std::int32_t max_running(const SchedulerOptions& options) {
    const std::int32_t budget = options.max_num_batched_tokens;
    return std::min(options.max_num_seqs, budget - budget / 4);
}

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(checked(options)),
      state_(max_running(options), options.num_blocks, options.max_num_batched_tokens),
      tables_(options.num_blocks, state_.max_running,
              options.prefix_cache ? std::optional(options.hash_key) : std::nullopt),
      admission_(state_, tables_),
      speculation_(state_, tables_, options.max_speculative_step_rows) {
    const auto seqs = count_of(state_.max_running);
    reserve_batch(batch_, options.max_num_batched_tokens, state_.max_running, options.max_model_len);
    scheduled_.reserve(seqs);
    advanced_.reserve(seqs);
}

void Scheduler::add(Request request) {
    const auto refusal = why_refused(request);
    if (refusal) {  // the sequence of a refused request must not reserve much memory
        request.max_tokens = 0;
        if (request.num_choices > max_choices) request.num_choices = 1;
    }
    std::vector<SequencePtr> forks;
    for (std::uint32_t choice = 1; choice < request.num_choices; ++choice) {
        Request other = request;
        other.sampling.choice = choice;
        other.num_prompt_logprobs = -1;  // only the first choice reports them
        forks.push_back(std::make_unique<Sequence>(std::move(other), num_arrivals_, options_.eos_token_ids));
    }
    request.sampling.choice = 0;
    auto sequence = std::make_unique<Sequence>(std::move(request), num_arrivals_++, options_.eos_token_ids);
    sequence->forks = std::move(forks);
    if (refusal) {
        end(std::move(sequence), FinishReason::error, *refusal);
    } else {
        state_.shares.push(std::move(sequence));
    }
}

std::optional<errc> Scheduler::why_refused(const Request& request) const {
    const auto choices_limit = std::min(static_cast<std::uint32_t>(state_.max_running), max_choices);
    if (request.prompt.empty() || request.max_tokens < 0 || request.num_choices < 1 ||
        request.num_choices > choices_limit || request.sampling.num_logprobs > max_top_logprobs ||
        request.num_prompt_logprobs > max_top_logprobs) {
        return errc::invalid_request;
    }
    const auto prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
    const std::int64_t kv_tokens = prompt_tokens + std::max(request.max_tokens - 1, 0);
    const std::int64_t pool_tokens = std::int64_t{tables_.pool().num_blocks()} * kv_block_size;
    if (prompt_tokens + request.max_tokens > options_.max_model_len || kv_tokens > pool_tokens) {
        return errc::context_length_exceeded;
    }
    return std::nullopt;
}

void Scheduler::cancel(RequestId id) {
    const auto is_wanted = [id](const Sequence& sequence) { return sequence.request.id == id; };
    end_waiting(is_wanted, FinishReason::cancelled, errc::backend_failed);
    end_running(is_wanted, FinishReason::cancelled, errc::backend_failed);
}

void Scheduler::abort(errc error) {
    const auto is_any = [](const Sequence&) { return true; };
    state_.remove_gaps();  // a step that failed while being scheduled may have left nulls
    end_running(is_any, FinishReason::error, error);
    end_waiting(is_any, FinishReason::error, error);
}

const ForwardBatch& Scheduler::schedule(Clock::time_point now) {
    if (!scheduled_.empty())
        throw std::logic_error("schedule() was called before complete() had ended the last step");
    reported_.clear();
    expire(now);
    begin_step();
    schedule_decodes();
    admission_.admit();
    schedule_prefills();
    speculation_.schedule_drafts();
    for (const auto& sequence : state_.running) {
        if (sequence->num_scheduled_tokens > 0) scheduled_.push_back(sequence.get());
    }
    if (!scheduled_.empty()) tables_.begin_flight();
    fill_batch(batch_, scheduled_);
    return batch_;
}

void Scheduler::expire(Clock::time_point now) {
    const auto overdue = [now](const Sequence& sequence) { return now >= sequence.request.request_deadline; };
    const auto overdue_in_queue = [now](const Sequence& sequence) {
        // The queue deadline does not apply to a preempted sequence, because this sequence has left the queue
        // before.
        return sequence.num_preemptions == 0 && now >= sequence.request.queue_deadline;
    };
    end_waiting(overdue_in_queue, FinishReason::error, errc::queue_timeout);
    end_waiting(overdue, FinishReason::error, errc::deadline_exceeded);
    end_running(overdue, FinishReason::error, errc::deadline_exceeded);
}

void Scheduler::begin_step() {
    state_.shares.begin_step();
    state_.tokens_left = options_.max_num_batched_tokens;
    for (const auto& principal : state_.shares.principals()) principal->num_prefill_tokens = 0;
    for (const auto& sequence : state_.running) {
        if (sequence->prefilling) {
            sequence->principal->num_prefill_tokens += sequence->num_uncomputed_tokens();
        }
    }
    for (const auto& principal : state_.shares.principals()) {
        if (principal->num_prefill_tokens == 0) principal->deficit = 0;
    }
}

void Scheduler::schedule_decodes() {
    for (const SequencePtr& sequence : state_.running) {  // preemption replaces elements by null
        if (!sequence || sequence->prefilling) continue;
        const std::int32_t granted = schedule_tokens(*sequence, 1);
        sequence->principal->deficit -= granted;
    }
    state_.remove_gaps();
}

void Scheduler::schedule_prefills() {
    while (state_.tokens_left > 0) {
        PrincipalShare* const principal = state_.shares.prefill_turn();
        if (principal == nullptr) break;
        serve_prefills(*principal);
        if (principal->deficit <= 0 || principal->num_prefill_tokens == 0) state_.shares.end_prefill_turn();
    }
    state_.remove_gaps();
}

void Scheduler::serve_prefills(PrincipalShare& principal) {
    for (const SequencePtr& sequence : state_.running) {
        if (!sequence || sequence->principal != &principal || !sequence->prefilling) continue;
        if (principal.deficit <= 0 || state_.tokens_left == 0) return;
        const std::int64_t limit = std::min<std::int64_t>(principal.deficit, state_.tokens_left);
        const std::int32_t granted = schedule_tokens(*sequence, static_cast<std::int32_t>(limit));
        principal.deficit -= granted;
        principal.num_prefill_tokens -= granted;
    }
    // If the principal still has deficit and the step still has tokens, no KV block was free for its
    // remaining prompts. These prompts keep their slots, but get no more tokens in this step.
    if (principal.deficit > 0 && state_.tokens_left > 0) principal.num_prefill_tokens = 0;
}

// Schedules up to `max_tokens` of the sequence's next tokens, as far as budget and blocks allow. Returns how
// many tokens were scheduled. Preempts another sequence only to get a block for the first of these tokens. If
// no sequence can be preempted, this sequence waits and keeps its computed tokens.
std::int32_t Scheduler::schedule_tokens(Sequence& sequence, std::int32_t max_tokens) {
    const std::int32_t wanted = std::min({sequence.num_unscheduled_tokens(), state_.tokens_left, max_tokens});
    if (wanted <= 0) return 0;
    while (tables_.capacity_for(sequence) == 0) {
        if (sequence.num_scheduled_tokens > 0 || !admission_.preempt_for(sequence)) return 0;
    }
    const std::int32_t granted = std::min(wanted, tables_.capacity_for(sequence));
    sequence.num_scheduled_tokens += granted;
    state_.tokens_left -= granted;
    tables_.grow(sequence);
    return granted;
}

std::span<const Scheduler::Advance> Scheduler::complete(const StepResults& results) {
    advanced_.clear();
    if (!scheduled_.empty()) ++num_steps_;
    for (Sequence* sequence : scheduled_) {
        const bool samples = sequence->samples();
        const std::int32_t computed = std::exchange(sequence->num_scheduled_tokens, 0);
        sequence->copied_from = -1;
        if (sequence->finish != FinishReason::none) continue;  // ended while the step was in flight
        if (!are_finite(*sequence, samples, results)) {
            end(take_running(*sequence), FinishReason::error, errc::numerical_error);
        } else if (samples && sequence->dead_end == 0) {
            end(take_running(*sequence), FinishReason::error, errc::grammar_dead_end);
        } else {
            sequence->num_computed_tokens += computed;
            accept_results(*sequence, samples, results);
        }
    }
    scheduled_.clear();
    tables_.end_step();
    for (auto& sequence : ended_) {
        advanced_.push_back({.sequence = sequence.get()});
        reported_.push_back(std::move(sequence));
    }
    ended_.clear();
    return advanced_;
}

// Is called only if the logits were finite. A NaN anywhere in a prompt makes the logits at the end of the
// prompt NaN. Therefore blocks are registered in the prefix cache only after the logits of a later row.
void Scheduler::accept_results(Sequence& sequence, bool samples, const StepResults& results) {
    const std::int32_t num_scored = std::min(sequence.num_computed_tokens + 1, sequence.num_prompt_tokens);
    sequence.num_scored_tokens = std::max(sequence.num_scored_tokens, num_scored);
    Advance advance{.sequence = &sequence,
                    .first_row = sequence.first_row,
                    .first_score = sequence.first_score,
                    .num_scores = sequence.num_scores};
    if (samples) {
        if (sequence.request.max_tokens > 0) {  // otherwise the row only shows that the logits are finite
            advance.num_tokens = speculation_.keep_confirmed_drafts(sequence, results);
            sequence.num_computed_tokens = sequence.num_tokens() - 1;
        }
        sequence.prefilling = false;
        tables_.trim(sequence);
        tables_.register_blocks(sequence);
    }
    if (samples || advance.num_scores > 0) advanced_.push_back(advance);
    if (samples) start_forks(sequence, results);
}

// Starts the other choices of the request after the prompt has been computed. They refer to the same blocks
// as `leader`, and each draws its own first token unless max_tokens is 0.
void Scheduler::start_forks(Sequence& leader, const StepResults& results) {
    std::int32_t row = leader.first_row;
    auto forks = std::exchange(leader.forks, {});
    const std::int32_t num_tokens = std::min(leader.request.max_tokens, 1);
    for (SequencePtr& fork : forks) {
        if (num_tokens > 0) fork->token_ids.push_back(results.rows.at(count_of(++row)).token);
        fork->principal = leader.principal;
        fork->num_preemptions = leader.num_preemptions;
        tables_.share(leader, *fork);
        advanced_.push_back({.sequence = fork.get(), .num_tokens = num_tokens, .first_row = row});
        state_.insert_charged(std::move(fork));
    }
}

void Scheduler::finish(Sequence& sequence, FinishReason reason) {
    SequencePtr owned = take_running(sequence);
    if (!owned) return;
    owned->finish = reason;
    reported_.push_back(std::move(owned));
}

// Ends the running sequences for which `matches` returns true.
template <class Predicate>
void Scheduler::end_running(Predicate matches, FinishReason reason, errc error) {
    for (std::size_t i = state_.running.size(); i-- > 0;) {
        const Sequence& sequence = *state_.running[i];
        if (matches(sequence)) end(take_running(sequence), reason, error);
    }
}

// Ends the waiting sequences for which `matches` returns true.
template <class Predicate>
void Scheduler::end_waiting(Predicate matches, FinishReason reason, errc error) {
    state_.shares.extract(matches, ending_);
    for (SequencePtr& sequence : ending_) {
        // The pointer is null if an earlier call of this function moved the sequence and then threw an
        // exception.
        if (sequence) end(std::move(sequence), reason, error);
    }
    ending_.clear();
}

// Takes the sequence out of the running sequences and releases its blocks. Returns null if the sequence does
// not run.
SequencePtr Scheduler::take_running(const Sequence& sequence) {
    SequencePtr taken = state_.take(sequence);
    if (taken) tables_.release_all(*taken);
    return taken;
}

void Scheduler::end(SequencePtr sequence, FinishReason reason, errc error) {
    auto forks = std::exchange(sequence->forks, {});
    sequence->finish = reason;
    sequence->error = error;
    ended_.push_back(std::move(sequence));
    for (SequencePtr& fork : forks) end(std::move(fork), reason, error);
}

EngineSnapshot Scheduler::snapshot() const {
    EngineSnapshot snapshot{.steps = num_steps_,
                            .num_running = static_cast<std::int32_t>(state_.running.size()),
                            .num_waiting = static_cast<std::int32_t>(state_.shares.num_waiting())};
    tables_.fill_snapshot(snapshot);
    admission_.fill_snapshot(snapshot);
    speculation_.fill_snapshot(snapshot);
    return snapshot;
}

void Scheduler::check_integrity() const {
    solard::check_integrity(state_, tables_);
}

}  // namespace solard
