#include "inference/scheduler.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace solard {
namespace {

void require(bool condition, const Sequence& sequence, const char* what) {
    if (condition) return;
    throw std::logic_error("request " + std::to_string(sequence.request.id) + ": " + what);
}

// Moves what `why_ended` names an error for out of `queue` and into `on_end`; keeps the order of the rest.
template <class Queue, class WhyEnded, class OnEnd>
void extract(Queue& queue, WhyEnded why_ended, OnEnd on_end) {
    auto kept = queue.begin();
    for (auto& sequence : queue) {
        if (const auto error = why_ended(*sequence)) {
            on_end(std::move(sequence), *error);
        } else {
            std::swap(*kept++, sequence);
        }
    }
    queue.erase(kept, queue.end());
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options), pool_(options.num_blocks) {
    if (options.max_num_seqs < 1 || options.max_num_batched_tokens < 1 || options.num_blocks < 1) {
        throw std::invalid_argument("the scheduler needs a sequence, a token and a block at least");
    }
    const auto tokens = static_cast<std::size_t>(options_.max_num_batched_tokens);
    const auto seqs = static_cast<std::size_t>(options_.max_num_seqs);
    batch_.token_ids.reserve(tokens);
    batch_.positions.reserve(tokens);
    batch_.slot_mapping.reserve(tokens);
    batch_.cu_seqlens_q.reserve(seqs + 1);
    batch_.context_lens.reserve(seqs);
    batch_.block_tables.reserve(seqs * static_cast<std::size_t>(blocks_for(options_.max_model_len)));
    batch_.logits_rows.reserve(seqs);
    batch_.sampling.reserve(seqs);
    scheduled_.reserve(seqs);
    returned_.reserve(seqs);
    running_.reserve(seqs);
    quarantine_.reserve(static_cast<std::size_t>(options_.num_blocks));
}

void Scheduler::add(Request request) {
    const auto refusal = why_refused(request);
    if (refusal) request.max_tokens = 0;  // reserve nothing for it
    auto sequence = std::make_unique<Sequence>(std::move(request), arrivals_++);
    if (refusal) {
        end(std::move(sequence), FinishReason::error, *refusal);
    } else {
        waiting_.push_back(std::move(sequence));
    }
}

std::optional<errc> Scheduler::why_refused(const Request& request) const {
    if (request.prompt.empty() || request.max_tokens < 1) return errc::invalid_value;
    const auto num_tokens = static_cast<std::int64_t>(request.prompt.size()) + request.max_tokens;
    const std::int64_t pool_tokens = std::int64_t{pool_.num_blocks()} * kv_block_size;
    if (num_tokens > options_.max_model_len || num_tokens - 1 > pool_tokens) {
        return errc::context_length_exceeded;
    }
    return std::nullopt;
}

void Scheduler::cancel(RequestId id) {
    if (auto sequence = take(id)) end(std::move(sequence), FinishReason::cancelled);
}

void Scheduler::abort(errc error) {
    for (auto& sequence : running_) end(std::move(sequence), FinishReason::error, error);
    for (auto& sequence : waiting_) end(std::move(sequence), FinishReason::error, error);
    running_.clear();
    waiting_.clear();
}

const ForwardBatch& Scheduler::schedule(Clock::time_point now) {
    if (!scheduled_.empty()) throw std::logic_error("schedule() before complete() of the step in flight");
    reported_.clear();
    expire(now);
    tokens_left_ = options_.max_num_batched_tokens;
    schedule_running([](const Sequence& sequence) { return sequence.num_uncomputed_tokens() == 1; });
    schedule_running([](const Sequence& sequence) { return sequence.num_uncomputed_tokens() > 1; });
    admit();
    fill_batch();
    return batch_;
}

void Scheduler::expire(Clock::time_point now) {
    const auto overdue = [now](const Sequence& sequence) -> std::optional<errc> {
        if (now < sequence.request.request_deadline) return std::nullopt;
        return errc::server_overloaded;
    };
    const auto overdue_in_queue = [&](const Sequence& sequence) -> std::optional<errc> {
        // A preempted sequence has left the queue once already.
        if (sequence.num_preemptions == 0 && now >= sequence.request.queue_deadline)
            return errc::queue_timeout;
        return overdue(sequence);
    };
    const auto on_end = [this](SequencePtr sequence, errc error) {
        end(std::move(sequence), FinishReason::error, error);
    };
    extract(running_, overdue, on_end);
    extract(waiting_, overdue_in_queue, on_end);
}

template <class Predicate>
void Scheduler::schedule_running(Predicate is_wanted) {
    std::size_t next = 0;
    while (next < running_.size()) {  // which preemption shortens from its end
        Sequence& sequence = *running_[next++];
        if (is_wanted(sequence)) schedule_tokens(sequence);
    }
}

// Schedules as many of the sequence's uncomputed tokens as budget and blocks allow. Only for the first of
// them is a younger sequence preempted; the youngest itself waits in place, keeping what it has computed.
void Scheduler::schedule_tokens(Sequence& sequence) {
    const std::int32_t wanted = std::min(sequence.num_uncomputed_tokens(), tokens_left_);
    const auto room = [&] {
        const auto held = static_cast<std::int32_t>(sequence.block_table.size());
        return (held + pool_.num_free()) * kv_block_size - sequence.num_computed_tokens;
    };
    while (wanted > 0 && room() == 0 && running_.back().get() != &sequence) preempt_last();

    sequence.num_scheduled_tokens = std::min(wanted, room());
    tokens_left_ -= sequence.num_scheduled_tokens;
    const auto blocks =
        static_cast<std::size_t>(blocks_for(sequence.num_computed_tokens + sequence.num_scheduled_tokens));
    while (sequence.block_table.size() < blocks) {
        const auto block = pool_.allocate();
        if (!block) throw std::logic_error("fewer KV blocks are free than the pool counts");
        sequence.block_table.push_back(*block);
    }
}

void Scheduler::preempt_last() {
    SequencePtr victim = std::move(running_.back());
    running_.pop_back();
    tokens_left_ += std::exchange(victim->num_scheduled_tokens, 0);
    release_blocks(*victim);
    victim->num_computed_tokens = 0;
    ++victim->num_preemptions;
    ++counters_.num_preemptions;
    waiting_.push_front(std::move(victim));
}

// A sequence starts when all it knows fits beside what the running ones need next, or it would soon be
// preempted.
void Scheduler::admit() {
    std::int32_t free_blocks = pool_.num_free();
    for (const auto& sequence : running_) free_blocks -= blocks_ahead(*sequence);
    while (!waiting_.empty() && tokens_left_ > 0 && std::cmp_less(running_.size(), options_.max_num_seqs) &&
           blocks_for(waiting_.front()->num_tokens()) <= free_blocks) {
        free_blocks -= blocks_ahead(*waiting_.front());
        running_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
        schedule_tokens(*running_.back());
    }
}

// Blocks that the sequence will still ask for until it has computed all it knows and one block more.
std::int32_t Scheduler::blocks_ahead(const Sequence& sequence) const {
    const std::int32_t tokens = std::min(sequence.num_tokens() + kv_block_size, sequence.max_kv_tokens());
    return blocks_for(tokens) - static_cast<std::int32_t>(sequence.block_table.size());
}

void Scheduler::fill_batch() {
    batch_.clear();
    batch_.cu_seqlens_q.push_back(0);
    std::size_t stride = 0;
    for (const auto& sequence : running_) {
        if (sequence->num_scheduled_tokens == 0) continue;
        scheduled_.push_back(sequence.get());
        stride = std::max(stride, sequence->block_table.size());
    }
    batch_.block_table_stride = static_cast<std::int32_t>(stride);
    for (const Sequence* sequence : scheduled_) append_to_batch(*sequence);
}

void Scheduler::append_to_batch(const Sequence& sequence) {
    const std::int32_t end = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    for (std::int32_t position = sequence.num_computed_tokens; position < end; ++position) {
        const BlockId block = sequence.block_table[static_cast<std::size_t>(position / kv_block_size)];
        batch_.token_ids.push_back(sequence.token_ids[static_cast<std::size_t>(position)]);
        batch_.positions.push_back(position);
        batch_.slot_mapping.push_back(block * kv_block_size + position % kv_block_size);
    }
    batch_.cu_seqlens_q.push_back(batch_.num_tokens());
    batch_.context_lens.push_back(end);
    const auto row_end = batch_.context_lens.size() * static_cast<std::size_t>(batch_.block_table_stride);
    batch_.block_tables.insert(batch_.block_tables.end(), sequence.block_table.begin(),
                               sequence.block_table.end());
    batch_.block_tables.resize(row_end, -1);
    if (!sequence.samples()) return;
    batch_.logits_rows.push_back(batch_.num_tokens() - 1);
    batch_.sampling.push_back({.params = sequence.request.sampling,
                               .position = end,
                               .context = sequence.token_ids,
                               .num_prompt_tokens = sequence.num_prompt_tokens});
}

std::span<Sequence* const> Scheduler::complete(const StepResults& results) {
    returned_.clear();
    if (!scheduled_.empty()) ++counters_.steps;
    std::size_t row = 0;
    for (Sequence* sequence : scheduled_) {
        const bool samples = sequence->samples();
        sequence->num_computed_tokens += std::exchange(sequence->num_scheduled_tokens, 0);
        const std::size_t result_row = samples ? row++ : row;
        if (!samples || sequence->finish != FinishReason::none) continue;
        const SampledToken sampled = results.rows.at(result_row);
        if (sampled.finite) {
            sequence->token_ids.push_back(sampled.token);
            ++counters_.generated_tokens;
            returned_.push_back(sequence);
        } else {
            end(take(sequence->request.id), FinishReason::error, errc::numerical_error);
        }
    }
    scheduled_.clear();
    for (const BlockId block : quarantine_) pool_.release(block);
    quarantine_.clear();
    for (auto& sequence : ended_) {
        returned_.push_back(sequence.get());
        reported_.push_back(std::move(sequence));
    }
    ended_.clear();
    return returned_;
}

void Scheduler::finish(Sequence& sequence, FinishReason reason) {
    SequencePtr owned = take(sequence.request.id);
    if (!owned) return;
    owned->finish = reason;
    release_blocks(*owned);
    reported_.push_back(std::move(owned));
}

Scheduler::SequencePtr Scheduler::take(RequestId id) {
    const auto take_from = [id](auto& queue) -> SequencePtr {
        const auto found =
            std::find_if(queue.begin(), queue.end(), [id](const auto& s) { return s->request.id == id; });
        if (found == queue.end()) return nullptr;
        SequencePtr sequence = std::move(*found);
        queue.erase(found);
        return sequence;
    };
    if (auto sequence = take_from(running_)) return sequence;
    return take_from(waiting_);
}

void Scheduler::end(SequencePtr sequence, FinishReason reason, errc error) {
    sequence->finish = reason;
    sequence->error = error;
    release_blocks(*sequence);
    ended_.push_back(std::move(sequence));
}

void Scheduler::release_blocks(Sequence& sequence) {
    const bool in_flight = !scheduled_.empty();
    for (const BlockId block : sequence.block_table) {
        if (in_flight) {
            quarantine_.push_back(block);
        } else {
            pool_.release(block);
        }
    }
    sequence.block_table.clear();
}

EngineSnapshot Scheduler::snapshot() const {
    EngineSnapshot snapshot = counters_;
    snapshot.num_running = static_cast<std::int32_t>(running_.size());
    snapshot.num_waiting = static_cast<std::int32_t>(waiting_.size());
    snapshot.num_blocks = pool_.num_blocks();
    snapshot.num_free_blocks = pool_.num_free();
    return snapshot;
}

void Scheduler::check_integrity() const {
    pool_.check_integrity();
    std::vector<std::int32_t> references(static_cast<std::size_t>(pool_.num_blocks()));
    for (const BlockId block : quarantine_) ++references.at(static_cast<std::size_t>(block));

    const Sequence* previous = nullptr;
    const auto check = [&](const Sequence& sequence) {
        require(!previous || previous->arrival < sequence.arrival, sequence, "out of order");
        require(sequence.finish == FinishReason::none, sequence, "has ended and was not removed");
        require(sequence.num_uncomputed_tokens() > 0, sequence, "has nothing left to compute");
        const std::int32_t known = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
        require(static_cast<std::int32_t>(sequence.block_table.size()) == blocks_for(known), sequence,
                "holds a wrong number of blocks");
        for (const BlockId block : sequence.block_table) ++references.at(static_cast<std::size_t>(block));
        previous = &sequence;
    };
    for (const auto& sequence : running_) check(*sequence);
    for (const auto& sequence : waiting_) {
        check(*sequence);
        require(sequence->block_table.empty(), *sequence, "holds blocks while it waits");
    }
    for (BlockId block = 0; block < pool_.num_blocks(); ++block) {
        if (references[static_cast<std::size_t>(block)] != pool_.num_references(block)) {
            throw std::logic_error("KV block " + std::to_string(block) + " has a wrong reference count");
        }
    }
    if (std::cmp_greater(running_.size(), std::min(options_.max_num_seqs, options_.max_num_batched_tokens))) {
        throw std::logic_error("more sequences run than one step can serve");
    }
}

}  // namespace solard
