#include "inference/scheduling/scheduler.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "inference/scheduling/batch_builder.hpp"
#include "inference/scheduling/prompt_lookup.hpp"

namespace solard {
namespace {

constexpr std::int32_t most_drafts = 8;  // of one sequence in one step

}  // namespace

std::int32_t max_running(const SchedulerOptions& options) {
    const std::int32_t budget = options.max_num_batched_tokens;
    return std::min(options.max_num_seqs, budget - budget / 4);
}

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      max_running_(max_running(options)),
      pool_(options.num_blocks),
      shares_(max_running_, options.num_blocks, options.max_num_batched_tokens),
      victim_references_(static_cast<std::size_t>(options.num_blocks)) {
    if (options.max_num_seqs < 1 || options.max_num_batched_tokens < 1 || options.num_blocks < 1) {
        throw std::invalid_argument("the scheduler needs a sequence, a token and a block at least");
    }
    const auto seqs = static_cast<std::size_t>(max_running_);
    reserve_batch(batch_, options.max_num_batched_tokens, max_running_, options.max_model_len);
    for (auto* list : {&scheduled_, &victims_}) list->reserve(seqs);
    advanced_.reserve(seqs);
    running_.reserve(seqs);
    copy_sources_.reserve(seqs);
    quarantine_.reserve(static_cast<std::size_t>(options.num_blocks));
}

void Scheduler::add(Request request) {
    const auto refusal = why_refused(request);
    if (refusal) {  // reserve nothing for it
        request.max_tokens = 0;
        if (request.num_choices > max_choices) request.num_choices = 1;
    }
    std::vector<SequencePtr> forks;
    for (std::uint32_t choice = 1; choice < request.num_choices; ++choice) {
        Request other = request;
        other.sampling.choice = choice;
        forks.push_back(std::make_unique<Sequence>(std::move(other), arrivals_, options_.eos_token_ids));
    }
    request.sampling.choice = 0;
    auto sequence = std::make_unique<Sequence>(std::move(request), arrivals_++, options_.eos_token_ids);
    sequence->forks = std::move(forks);
    if (refusal) {
        end(std::move(sequence), FinishReason::error, *refusal);
    } else {
        shares_.push(std::move(sequence));
    }
}

std::optional<errc> Scheduler::why_refused(const Request& request) const {
    const auto most_choices = std::min(static_cast<std::uint32_t>(max_running_), max_choices);
    if (request.prompt.empty() || request.max_tokens < 1 || request.num_choices < 1 ||
        request.num_choices > most_choices || request.sampling.num_logprobs > max_top_logprobs) {
        return errc::invalid_request;
    }
    const auto num_tokens = static_cast<std::int64_t>(request.prompt.size()) + request.max_tokens;
    const std::int64_t pool_tokens = std::int64_t{pool_.num_blocks()} * kv_block_size;
    if (num_tokens > options_.max_model_len || num_tokens - 1 > pool_tokens) {
        return errc::context_length_exceeded;
    }
    return std::nullopt;
}

void Scheduler::cancel(RequestId id) {
    const auto is_wanted = [id](const Sequence& sequence) { return sequence.request.id == id; };
    shares_.extract(is_wanted, expired_);
    for (std::size_t i = running_.size(); i-- > 0;) {
        if (is_wanted(*running_[i])) expired_.push_back(take_running(*running_[i]));
    }
    for (SequencePtr& sequence : expired_) end(std::move(sequence), FinishReason::cancelled);
    expired_.clear();
}

void Scheduler::abort(errc error) {
    std::erase(running_, nullptr);  // a step may have failed while it was being scheduled
    while (!running_.empty()) end(take_running(*running_.back()), FinishReason::error, error);
    shares_.extract([](const Sequence&) { return true; }, expired_);
    for (SequencePtr& sequence : expired_) {
        if (sequence) end(std::move(sequence), FinishReason::error, error);  // else an earlier attempt did
    }
    expired_.clear();
}

const ForwardBatch& Scheduler::schedule(Clock::time_point now) {
    if (!scheduled_.empty()) throw std::logic_error("schedule() before complete() of the step in flight");
    reported_.clear();
    expire(now);
    begin_step();
    schedule_decodes();
    admit();
    schedule_prefills();
    schedule_drafts();
    for (const auto& sequence : running_) {
        if (sequence->num_scheduled_tokens > 0) scheduled_.push_back(sequence.get());
    }
    fill_batch(batch_, scheduled_);
    return batch_;
}

void Scheduler::expire(Clock::time_point now) {
    const auto overdue = [now](const Sequence& sequence) { return now >= sequence.request.request_deadline; };
    const auto overdue_in_queue = [now](const Sequence& sequence) {
        // A preempted sequence has left the queue once already.
        return sequence.num_preemptions == 0 && now >= sequence.request.queue_deadline;
    };
    shares_.extract(overdue_in_queue, expired_);
    for (SequencePtr& sequence : expired_) {
        end(std::move(sequence), FinishReason::error, errc::queue_timeout);
    }
    expired_.clear();
    shares_.extract(overdue, expired_);
    for (std::size_t i = running_.size(); i-- > 0;) {
        if (overdue(*running_[i])) expired_.push_back(take_running(*running_[i]));
    }
    for (SequencePtr& sequence : expired_) {
        end(std::move(sequence), FinishReason::error, errc::deadline_exceeded);
    }
    expired_.clear();
}

void Scheduler::begin_step() {
    shares_.begin_step();
    tokens_left_ = options_.max_num_batched_tokens;
    for (const auto& principal : shares_.principals()) principal->num_prefill_tokens = 0;
    for (const auto& sequence : running_) {
        if (sequence->prefilling) {
            sequence->principal->num_prefill_tokens += sequence->num_uncomputed_tokens();
        }
    }
    for (const auto& principal : shares_.principals()) {
        if (principal->num_prefill_tokens == 0) principal->deficit = 0;
    }
}

void Scheduler::schedule_decodes() {
    for (const SequencePtr& sequence : running_) {  // which preemption turns to null, here and below
        if (!sequence || sequence->prefilling) continue;
        const std::int32_t granted = schedule_tokens(*sequence, 1);
        sequence->principal->deficit -= granted;
    }
    std::erase(running_, nullptr);
}

void Scheduler::schedule_prefills() {
    while (tokens_left_ > 0) {
        PrincipalShare* const principal = shares_.prefill_turn();
        if (principal == nullptr) break;
        serve_prefills(*principal);
        if (principal->deficit <= 0 || principal->num_prefill_tokens == 0) shares_.end_prefill_turn();
    }
    std::erase(running_, nullptr);
}

void Scheduler::serve_prefills(PrincipalShare& principal) {
    for (const SequencePtr& sequence : running_) {
        if (!sequence || sequence->principal != &principal || !sequence->prefilling) continue;
        if (principal.deficit <= 0 || tokens_left_ == 0) return;
        const auto most = static_cast<std::int32_t>(std::min<std::int64_t>(principal.deficit, tokens_left_));
        const std::int32_t granted = schedule_tokens(*sequence, most);
        principal.deficit -= granted;
        principal.num_prefill_tokens -= granted;
    }
    // Whoever still wants tokens and may have them finds no block: it waits in place.
    if (principal.deficit > 0 && tokens_left_ > 0) principal.num_prefill_tokens = 0;
}

// Schedules as many of the sequence's next tokens as `most`, budget and blocks allow. Only for the first of
// them is another sequence preempted; who may not do that waits in place, keeping what it has computed.
std::int32_t Scheduler::schedule_tokens(Sequence& sequence, std::int32_t most) {
    const std::int32_t wanted = std::min({sequence.num_unscheduled_tokens(), tokens_left_, most});
    if (wanted <= 0) return 0;
    while (room_for(sequence) == 0) {
        Sequence* const victim = sequence.num_scheduled_tokens == 0 ? victim_for(sequence) : nullptr;
        if (victim == nullptr) return 0;
        preempt(*victim);
    }
    const std::int32_t granted = std::min(wanted, room_for(sequence));
    sequence.num_scheduled_tokens += granted;
    tokens_left_ -= granted;
    grow_table(sequence, sequence.num_computed_tokens + sequence.num_scheduled_tokens);
    return granted;
}

// Drafts ride where they are nearly free: in a step that only decodes and has few rows.
void Scheduler::schedule_drafts() {
    const auto decodes = [](const SequencePtr& sequence) {
        return !sequence->prefilling && sequence->num_scheduled_tokens == 1;
    };
    const auto num_rows = static_cast<std::int32_t>(running_.size());
    if (num_rows >= options_.speculation_tokens || !std::ranges::all_of(running_, decodes)) return;
    std::int32_t left = std::min({options_.speculation_tokens, max_running_}) - num_rows;
    for (const auto& sequence : running_) {
        append_draft(*sequence, std::min({left, tokens_left_, sequence->draft_limit}));
        left -= sequence->num_draft_tokens;
    }
}

void Scheduler::append_draft(Sequence& sequence, std::int32_t most) {
    // The token that follows the last draft must still be wanted.
    const std::int32_t generated = sequence.num_tokens() - sequence.num_prompt_tokens;
    most = std::min({most, sequence.request.max_tokens - generated - 1, room_for(sequence)});
    if (most <= 0) return;
    const auto draft = find_draft(sequence.token_ids, static_cast<std::size_t>(most));
    for (const TokenId token : draft) sequence.token_ids.push_back(token);  // within what is reserved
    sequence.num_draft_tokens = static_cast<std::int32_t>(draft.size());
    sequence.num_scheduled_tokens += sequence.num_draft_tokens;
    tokens_left_ -= sequence.num_draft_tokens;
    counters_.draft_tokens += draft.size();
    grow_table(sequence, sequence.num_computed_tokens + sequence.num_scheduled_tokens);
}

std::span<const Scheduler::Advance> Scheduler::complete(const StepResults& results) {
    advanced_.clear();
    if (!scheduled_.empty()) ++counters_.steps;
    for (Sequence* sequence : scheduled_) {
        const bool samples = sequence->samples();
        const std::int32_t computed = std::exchange(sequence->num_scheduled_tokens, 0);
        sequence->copied_from = -1;
        if (sequence->finish != FinishReason::none) continue;  // ended while the step was in flight
        if (!samples) {
            sequence->num_computed_tokens += computed;
        } else if (!accept_results(*sequence, results)) {
            end(take_running(*sequence), FinishReason::error, errc::numerical_error);
        }
    }
    scheduled_.clear();
    copy_sources_.clear();
    for (const BlockId block : quarantine_) pool_.release(block);
    quarantine_.clear();
    for (auto& sequence : ended_) {
        advanced_.push_back({.sequence = sequence.get()});
        reported_.push_back(std::move(sequence));
    }
    ended_.clear();
    return advanced_;
}

// False if the logits were not finite. Nothing of such a row reaches the prefix cache: a NaN anywhere in a
// prompt shows in the logits of its end, so blocks are offered only once a row after them was seen finite.
bool Scheduler::accept_results(Sequence& sequence, const StepResults& results) {
    const std::int32_t first_row = sequence.first_row;
    if (!results.rows.at(static_cast<std::size_t>(first_row)).finite) return false;
    const std::int32_t num_tokens = keep_confirmed_drafts(sequence, results);
    sequence.prefilling = false;
    sequence.num_computed_tokens = sequence.num_tokens() - 1;
    trim_table(sequence, sequence.num_computed_tokens);
    register_blocks(sequence);
    advanced_.push_back({.sequence = &sequence, .num_tokens = num_tokens, .first_row = first_row});
    start_forks(sequence, results);
    return true;
}

// A draft stands where the token drawn from the row before it is the same: then that row's successor saw
// exactly what it would have seen without speculation. Gives the number of new tokens.
std::int32_t Scheduler::keep_confirmed_drafts(Sequence& sequence, const StepResults& results) {
    const auto known = static_cast<std::size_t>(sequence.num_tokens());
    const std::int32_t num_drafts = std::exchange(sequence.num_draft_tokens, 0);
    std::int32_t confirmed = 0;
    for (;; ++confirmed) {
        const auto offset = static_cast<std::size_t>(confirmed);
        const SampledToken& drawn = results.rows.at(static_cast<std::size_t>(sequence.first_row) + offset);
        const std::size_t place = known + offset;
        if (confirmed < num_drafts && drawn.finite && sequence.token_ids[place] == drawn.token) continue;
        sequence.token_ids.resize(place);
        if (!drawn.finite) break;  // the next step meets it again, in a row of its own
        sequence.token_ids.push_back(drawn.token);
        break;
    }
    counters_.accepted_draft_tokens += static_cast<std::uint64_t>(confirmed);
    if (num_drafts > 0) {
        sequence.draft_limit = confirmed == num_drafts ? std::min(2 * sequence.draft_limit, most_drafts)
                                                       : std::max(confirmed, 1);
    }
    return static_cast<std::int32_t>(sequence.token_ids.size() - known);
}

// The prompt is computed: the other choices refer to its blocks and draw their own first tokens.
void Scheduler::start_forks(Sequence& leader, const StepResults& results) {
    std::int32_t row = leader.first_row;
    auto forks = std::exchange(leader.forks, {});
    for (SequencePtr& fork : forks) {
        fork->token_ids.push_back(results.rows.at(static_cast<std::size_t>(++row)).token);
        fork->principal = leader.principal;
        fork->block_table.assign(leader.block_table.begin(), leader.block_table.end());
        for (const BlockId block : fork->block_table) pool_.retain(block);
        leader.principal->num_blocks += static_cast<std::int32_t>(fork->block_table.size());
        fork->block_hashes.assign(leader.block_hashes.begin(), leader.block_hashes.end());
        fork->num_registered_blocks = leader.num_registered_blocks;
        fork->num_computed_tokens = leader.num_computed_tokens;
        fork->num_cached_tokens = leader.num_cached_tokens;
        fork->num_preemptions = leader.num_preemptions;
        advanced_.push_back({.sequence = fork.get(), .num_tokens = 1, .first_row = row});
        insert_running(std::move(fork));
    }
}

void Scheduler::finish(Sequence& sequence, FinishReason reason) {
    SequencePtr owned = take_running(sequence);
    if (!owned) return;
    owned->finish = reason;
    reported_.push_back(std::move(owned));
}

// Takes the sequence out of those that run, with everything it held.
SequencePtr Scheduler::take_running(const Sequence& sequence) {
    const auto found = std::ranges::find(running_, &sequence, &SequencePtr::get);
    if (found == running_.end()) return nullptr;
    SequencePtr taken = std::move(*found);
    running_.erase(found);
    leave(*taken);
    return taken;
}

void Scheduler::insert_running(SequencePtr sequence) {
    const auto earlier = [](const SequencePtr& a, const SequencePtr& b) { return arrived_before(*a, *b); };
    running_.insert(std::ranges::upper_bound(running_, sequence, earlier), std::move(sequence));
}

void Scheduler::end(SequencePtr sequence, FinishReason reason, errc error) {
    auto forks = std::exchange(sequence->forks, {});
    sequence->finish = reason;
    sequence->error = error;
    ended_.push_back(std::move(sequence));
    for (SequencePtr& fork : forks) end(std::move(fork), reason, error);
}

}  // namespace solard
