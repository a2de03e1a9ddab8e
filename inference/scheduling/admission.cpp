#include "inference/scheduling/admission.hpp"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "inference/sizes.hpp"

namespace solard {
namespace {

// A sequence that was preempted this many times can be preempted again only for the sake of an older
// sequence.
constexpr std::int32_t max_preemptions = 4;

bool may_yield(const Sequence& sequence, const Sequence& needy) {
    return sequence.num_preemptions < max_preemptions || arrived_before(needy, sequence);
}

}  // namespace

Admission::Admission(StepState& state, BlockTables& tables)
    : state_(state), tables_(tables), victim_references_(count_of(tables.pool().num_blocks())) {
    victims_.reserve(count_of(state.max_running));
}

void Admission::admit() {
    FairShare& shares = state_.shares;
    const auto principals = shares.principals();
    const std::size_t count = principals.size();
    Capacity capacity = free_capacity();
    std::size_t begin = shares.admission_turn();
    bool turn_is_kept = false;  // true if a request did not fit and keeps its turn
    for (std::size_t passed = 0; passed < count && shares.num_waiting() > 0;) {
        const std::size_t index = (begin + passed) % count;
        PrincipalShare& principal = *principals[index];
        const bool wants = !principal.waiting.empty() && (principal.num_prefill_tokens == 0 ||
                                                          capacity.prefill_tokens < state_.tokens_left);
        if (!wants) {
            ++passed;
        } else if (!admit_first(principal, capacity, turn_is_kept)) {
            if (!turn_is_kept) keep_turn(index);
            turn_is_kept = true;
            ++passed;
        } else {
            capacity = free_capacity();
            if (turn_is_kept) continue;
            begin = index + 1;
            passed = 0;
            shares.set_admission_turn(begin);
        }
    }
}

// Is called if the first waiting request of principal number `index` does not fit. This request keeps its
// turn. num_passed_ counts the requests that overtake this request by taking free capacity, because their
// number is limited.
void Admission::keep_turn(std::size_t index) {
    state_.shares.set_admission_turn(index);
    const Sequence& keeper = *state_.shares.principals()[index]->waiting.front();
    if (std::exchange(turn_keeper_, keeper.arrival) != keeper.arrival) num_passed_ = 0;
}

// Starts the first waiting request of the principal if the request fits, or if the principal's fair share
// allows preempting other sequences for it. `passes_another` is true if another request did not fit and keeps
// its turn.
bool Admission::admit_first(PrincipalShare& principal, const Capacity& capacity, bool passes_another) {
    const FairShare& shares = state_.shares;
    Sequence& first = *principal.waiting.front();
    const bool is_below_share = shares.excess(principal) < 0;
    if (passes_another && !is_below_share) return false;
    // A principal is charged for a shared block once per choice that refers to it.
    const std::int64_t excess =
        shares.excess(principal, first.num_slots(), first.num_slots() * blocks_for(first.num_tokens()));
    const bool may_preempt = is_below_share && capacity.largest_excess > std::max<std::int64_t>(excess, 0);
    const bool capacity_is_kept = passes_another && num_passed_ >= state_.max_running;
    const std::int32_t slots = capacity_is_kept ? 0 : capacity.slots;
    const std::int32_t blocks = capacity_is_kept ? 0 : capacity.blocks;
    // This cheap check comes first: if hundreds of requests wait, it turns away nearly all of them in every
    // step.
    const bool is_alone = state_.running.empty();
    const bool may_fit = is_alone || (first.num_slots() <= slots && blocks > 0);
    if (!may_fit && !may_preempt) return false;

    const Need need = need_of(first);
    // If no other sequence runs, it is enough that the known tokens fit. The sequence will get every block
    // that it needs later.
    const bool fits = (need.slots <= slots && need.blocks <= blocks) ||
                      (is_alone && blocks_for(first.num_tokens()) <= tables_.pool().num_free());
    if (!fits) {
        if (!may_preempt) return false;
        if (!preempt_for_newcomer(first, need, excess, need.slots - slots, need.blocks - blocks))
            return false;
    } else if (passes_another) {
        ++num_passed_;
    }
    start(principal, need);
    return true;
}

Admission::Capacity Admission::free_capacity() const {
    Capacity capacity{.slots = state_.max_running, .blocks = tables_.pool().num_free()};
    for (const auto& principal : state_.shares.principals()) {
        capacity.slots -= principal->num_slots;
        capacity.prefill_tokens += principal->num_prefill_tokens;
        capacity.largest_excess = std::max(capacity.largest_excess, state_.shares.excess(*principal));
    }
    for (const auto& sequence : state_.running) capacity.blocks -= blocks_ahead(*sequence);
    return capacity;
}

Admission::Need Admission::need_of(Sequence& sequence) {
    const BlockTables::CachedPrefix cached = tables_.find_cached(sequence);
    const std::int32_t slots = sequence.num_slots();
    const std::int32_t copies = slots - 1;  // each further choice copies or adds one block
    return {.slots = slots,
            .blocks = blocks_for(sequence.num_tokens()) + copies - cached.num_blocks_in_use,
            .cached_blocks = cached.num_blocks};
}

void Admission::start(PrincipalShare& principal, const Need& need) {
    SequencePtr sequence = state_.shares.pop(principal);
    tables_.take_cached(*sequence, need.cached_blocks);
    sequence->prefilling = true;
    principal.num_prefill_tokens += sequence->num_uncomputed_tokens();
    state_.insert(std::move(sequence));
}

// Preempts sequences until `slots` more slots and `blocks` more blocks are free. If this is impossible,
// changes nothing and returns false. `excess` is how far the newcomer's principal will be above its share
// after the admission. A sequence can be preempted only if its principal is above its share, and further
// above than `excess`. If `excess` is positive, there is a second condition: without the sequence, its
// principal must still be above its share by at least `excess`. So every exchange lowers the largest excess,
// and no two principals preempt each other in turn.
bool Admission::preempt_for_newcomer(const Sequence& newcomer, const Need& need, std::int64_t excess,
                                     std::int32_t slots, std::int32_t blocks) {
    // The newcomer will refer to its cached blocks, so these blocks never count as freed.
    set_references(newcomer, need.cached_blocks, -1);
    victims_.clear();
    std::int32_t freed = 0;
    while (slots > 0 || blocks > freed) {
        Sequence* const victim = victim_above(std::max<std::int64_t>(excess, 0), newcomer);
        if (victim == nullptr) break;
        victims_.push_back(victim);
        victim->is_giving_way = true;
        slots -= victim->num_slots();
        freed += blocks_ahead(*victim) + blocks_freed_with(*victim);
        // The principal is charged as if the victim had left. So the next victim comes from the principal
        // that is then furthest above its share.
        victim->principal->num_slots -= victim->num_slots();
        victim->principal->num_blocks -= static_cast<std::int32_t>(victim->block_table.size());
    }
    set_references(newcomer, need.cached_blocks, 0);
    for (Sequence* victim : victims_) {
        victim->is_giving_way = false;
        victim->principal->num_slots += victim->num_slots();
        victim->principal->num_blocks += static_cast<std::int32_t>(victim->block_table.size());
        for (const BlockId block : victim->block_table) {
            victim_references_[count_of(block)] = 0;
        }
    }
    if (slots > 0 || blocks > freed) return false;
    for (Sequence* victim : victims_) preempt(*victim);
    state_.remove_gaps();
    return true;
}

void Admission::set_references(const Sequence& newcomer, std::int32_t num_cached_blocks, std::int32_t count) {
    const auto cached = std::span(newcomer.block_hashes).first(count_of(num_cached_blocks));
    for (const BlockHash& hash : cached) {
        if (const auto block = tables_.pool().find(hash)) {
            victim_references_[count_of(*block)] = count;
        }
    }
}

// Returns how many blocks become free if this victim leaves after the earlier victims. A shared block becomes
// free when the last sequence that refers to it has left.
std::int32_t Admission::blocks_freed_with(const Sequence& victim) {
    std::int32_t freed = 0;
    for (const BlockId block : victim.block_table) {
        const std::int32_t held = ++victim_references_[count_of(block)];
        freed += held == tables_.pool().num_references(block) ? 1 : 0;
    }
    return freed;
}

// Returns the youngest sequence of the principal that is furthest above its fair share, or nullptr if no
// principal is above its share by more than `excess`.
Sequence* Admission::victim_above(std::int64_t excess, const Sequence& newcomer) const {
    const auto& running = state_.running;
    const FairShare& shares = state_.shares;
    Sequence* victim = nullptr;
    std::int64_t furthest = excess + 1;
    for (std::size_t i = 1; i < running.size(); ++i) {  // the oldest sequence is never a victim
        Sequence& candidate = *running[i];
        const std::int64_t above = shares.excess(*candidate.principal);
        if (candidate.is_giving_way || above < furthest || !may_yield(candidate, newcomer)) continue;
        // Without this check, two principals with the same use would preempt each other in turn if every
        // share is smaller than one request.
        const std::int64_t without = shares.excess(*candidate.principal, -candidate.num_slots(),
                                                   -static_cast<std::int32_t>(candidate.block_table.size()));
        if (excess > 0 && without < excess) continue;
        furthest = above;
        victim = &candidate;
    }
    return victim;
}

bool Admission::preempt_for(const Sequence& needy) {
    Sequence* const victim = victim_for(needy);
    if (victim != nullptr) preempt(*victim);
    return victim != nullptr;
}

// Returns the sequence that gives up its blocks for `needy`. Sequences are compared by how far their
// principal is above its share, then by arrival. No two sequences are equal.
Sequence* Admission::victim_for(const Sequence& needy) const {
    const auto& running = state_.running;
    const auto rank = [this](const Sequence& sequence) {
        const std::int64_t excess = std::max<std::int64_t>(state_.shares.excess(*sequence.principal), 0);
        return std::tuple(excess, sequence.arrival, sequence.choice());
    };
    const auto oldest = std::ranges::find_if(running, [](const auto& s) { return s != nullptr; });
    const bool is_oldest = oldest->get() == &needy;
    const auto needy_rank = rank(needy);
    Sequence* victim = nullptr;
    for (auto it = oldest + 1; it < running.end(); ++it) {
        Sequence* const candidate = it->get();
        if (candidate == nullptr || candidate == &needy || !may_yield(*candidate, needy)) continue;
        if (!is_oldest && rank(*candidate) < needy_rank) continue;
        if (victim == nullptr || rank(*victim) < rank(*candidate)) victim = candidate;
    }
    return victim;
}

// Puts the sequence back among the waiting sequences, so that it will be computed again. Leaves a null in its
// place among the running sequences.
void Admission::preempt(Sequence& victim) {
    SequencePtr preempted = state_.take_leaving_gap(victim);
    state_.tokens_left += victim.num_scheduled_tokens;
    PrincipalShare& principal = *victim.principal;
    principal.deficit += victim.num_scheduled_tokens;
    if (victim.prefilling) {
        principal.num_prefill_tokens =
            std::max(principal.num_prefill_tokens - victim.num_unscheduled_tokens(), 0);
    }
    tables_.release_all(victim);
    victim.num_scheduled_tokens = 0;
    victim.num_computed_tokens = 0;
    victim.num_registered_blocks = 0;
    victim.prefilling = false;
    ++victim.num_preemptions;
    ++num_preemptions_;
    state_.shares.push(std::move(preempted));
}

}  // namespace solard
