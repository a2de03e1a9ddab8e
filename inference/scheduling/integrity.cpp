// What the scheduler tells of itself: counters, progress, and whether its books are right.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "inference/scheduling/scheduler.hpp"

namespace solard {
namespace {

void require(bool condition, const Sequence& sequence, const char* what) {
    if (condition) return;
    throw std::logic_error("request " + std::to_string(sequence.request.id) + ", choice " +
                           std::to_string(sequence.choice()) + ": " + what);
}

void publish(Sequence& sequence, ProgressEvent now, std::vector<ProgressEvent>& out) {
    now.id = sequence.request.id;
    now.choice = sequence.choice();
    if (now.phase == sequence.progress.phase && now.done == sequence.progress.done) return;
    sequence.progress = now;
    out.push_back(now);
}

}  // namespace

EngineSnapshot Scheduler::snapshot() const {
    EngineSnapshot snapshot = counters_;
    snapshot.num_running = static_cast<std::int32_t>(running_.size());
    snapshot.num_waiting = static_cast<std::int32_t>(shares_.num_waiting());
    snapshot.num_blocks = pool_.num_blocks();
    snapshot.num_free_blocks = pool_.num_free();
    snapshot.num_cached_blocks = pool_.num_registered();
    return snapshot;
}

void Scheduler::append_progress(std::vector<ProgressEvent>& out) {
    using Phase = ProgressEvent::Phase;
    for (const auto& sequence : running_) {
        if (sequence->prefilling) {
            publish(*sequence,
                    {.phase = Phase::prefill,
                     .done = sequence->num_computed_tokens,
                     .total = sequence->num_tokens()},
                    out);
        } else {
            publish(*sequence, {.phase = Phase::decoding}, out);
        }
    }
    // In the order of admission if nothing else arrives: the principals take turns.
    const auto principals = shares_.principals();
    round_.clear();
    for (std::size_t i = 0; i < principals.size(); ++i) {
        round_.push_back(principals[(shares_.admission_turn() + i) % principals.size()].get());
    }
    std::int32_t ahead = 0;
    for (std::size_t turn = 0; !round_.empty(); ++turn) {
        std::erase_if(round_, [turn](const auto* principal) { return turn >= principal->waiting.size(); });
        for (PrincipalShare* principal : round_) {
            Sequence& sequence = *principal->waiting[turn];
            const Phase phase = sequence.num_preemptions > 0 ? Phase::preempted : Phase::queued;
            publish(sequence, {.phase = phase, .done = ahead++}, out);
        }
    }
}

void Scheduler::check_integrity() const {
    pool_.check_integrity();
    std::vector<std::int32_t> references(static_cast<std::size_t>(pool_.num_blocks()));
    for (const BlockId block : quarantine_) ++references.at(static_cast<std::size_t>(block));

    std::int32_t slots = 0;
    std::size_t waiting = 0;
    for (const auto& principal : shares_.principals()) {
        std::int32_t held_slots = 0;
        std::int32_t held_blocks = 0;
        for (const auto& sequence : running_) {
            if (sequence->principal != principal.get()) continue;
            held_slots += sequence->num_slots();
            held_blocks += static_cast<std::int32_t>(sequence->block_table.size());
        }
        if (held_slots != principal->num_slots || held_blocks != principal->num_blocks) {
            throw std::logic_error("principal " + std::to_string(principal->id) + " is charged wrongly");
        }
        slots += held_slots;
        waiting += principal->waiting.size();
        const Sequence* previous = nullptr;
        for (const auto& sequence : principal->waiting) {
            require(sequence->finish == FinishReason::none, *sequence, "has ended and was not removed");
            require(sequence->block_table.empty(), *sequence, "holds blocks while it waits");
            require(sequence->num_computed_tokens == 0, *sequence, "has computed tokens and no blocks");
            if (previous && previous->request.priority == sequence->request.priority) {
                require(arrived_before(*previous, *sequence), *sequence, "waits out of order");
            }
            previous = sequence.get();
        }
    }
    if (slots > max_running_) throw std::logic_error("more sequences run than one step can serve");
    if (waiting != shares_.num_waiting()) throw std::logic_error("the number of waiting sequences is wrong");

    const Sequence* previous = nullptr;
    for (const auto& sequence : running_) {
        require(!previous || arrived_before(*previous, *sequence), *sequence, "runs out of order");
        require(sequence->finish == FinishReason::none, *sequence, "has ended and was not removed");
        require(sequence->num_uncomputed_tokens() > 0, *sequence, "has nothing left to compute");
        require(sequence->prefilling || sequence->num_uncomputed_tokens() == 1, *sequence,
                "decodes more than one token");
        const std::int32_t known = sequence->num_computed_tokens + sequence->num_scheduled_tokens;
        require(static_cast<std::int32_t>(sequence->block_table.size()) == blocks_for(known), *sequence,
                "holds a wrong number of blocks");
        for (std::size_t i = 0; i < sequence->block_table.size(); ++i) {
            const BlockId block = sequence->block_table[i];
            ++references.at(static_cast<std::size_t>(block));
            const bool is_written = sequence->num_scheduled_tokens > 0 &&
                                    std::cmp_greater_equal(i, sequence->num_computed_tokens / kv_block_size);
            require(!is_written || (pool_.num_references(block) == 1 && !pool_.is_registered(block)),
                    *sequence, "writes to a block that others read");
        }
        previous = sequence.get();
    }
    for (BlockId block = 0; block < pool_.num_blocks(); ++block) {
        if (references[static_cast<std::size_t>(block)] != pool_.num_references(block)) {
            throw std::logic_error("KV block " + std::to_string(block) + " has a wrong reference count");
        }
    }
}

}  // namespace solard
