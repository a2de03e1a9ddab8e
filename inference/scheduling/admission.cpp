// Who gets slots and KV blocks: admission, preemption, block tables, the prefix cache.
#include <algorithm>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "inference/scheduling/scheduler.hpp"

namespace solard {
namespace {

// A sequence that was preempted so often yields only to older ones.
constexpr std::int32_t most_preemptions = 4;

bool may_yield(const Sequence& sequence, const Sequence& needy) {
    return sequence.num_preemptions < most_preemptions || arrived_before(needy, sequence);
}

}  // namespace

void Scheduler::admit() {
    const auto principals = shares_.principals();
    const std::size_t count = principals.size();
    Room room = look_for_room();
    std::size_t begin = shares_.admission_turn();
    bool turn_is_kept = false;  // by one that found no room, now or in an earlier step
    for (std::size_t passed = 0; passed < count && shares_.num_waiting() > 0;) {
        const std::size_t index = (begin + passed) % count;
        PrincipalShare& principal = *principals[index];
        const bool wants = !principal.waiting.empty() &&
                           (principal.num_prefill_tokens == 0 || room.prefill_tokens < tokens_left_);
        if (!wants) {
            ++passed;
        } else if (!admit_first(principal, room, turn_is_kept)) {
            if (!turn_is_kept) keep_turn(index);
            turn_is_kept = true;
            ++passed;
        } else {
            room = look_for_room();
            if (turn_is_kept) continue;
            begin = index + 1;
            passed = 0;
            shares_.set_admission_turn(begin);
        }
    }
}

// The first waiting request of this principal found no room: others pass it, but only so often.
void Scheduler::keep_turn(std::size_t index) {
    shares_.set_admission_turn(index);
    const Sequence& keeper = *shares_.principals()[index]->waiting.front();
    if (std::exchange(turn_keeper_, keeper.arrival) != keeper.arrival) num_passed_ = 0;
}

// The first waiting request of the principal starts, if there is room or its fair share entitles it to some.
// `passes_another`: one that found no room keeps its turn.
bool Scheduler::admit_first(PrincipalShare& principal, const Room& room, bool passes_another) {
    Sequence& first = *principal.waiting.front();
    const bool is_below_share = shares_.excess(principal) < 0;
    if (passes_another && !is_below_share) return false;
    // A principal is charged for shared blocks with each choice that refers to them.
    const std::int64_t excess =
        shares_.excess(principal, first.num_slots(), first.num_slots() * blocks_for(first.num_tokens()));
    const bool may_preempt = is_below_share && room.largest_excess > std::max<std::int64_t>(excess, 0);
    const bool room_is_kept = passes_another && num_passed_ >= max_running_;
    const std::int32_t slots = room_is_kept ? 0 : room.slots;
    const std::int32_t blocks = room_is_kept ? 0 : room.blocks;
    // With hundreds that wait, nearly all of them end here in every step.
    const bool may_fit = running_.empty() || (first.num_slots() <= slots && blocks > 0);
    if (!may_fit && !may_preempt) return false;

    const Need need = need_of(first);
    // Alone, a sequence gets whatever it may still need by and by.
    const bool fits = (need.slots <= slots && need.blocks <= blocks) ||
                      (running_.empty() && blocks_for(first.num_tokens()) <= pool_.num_free());
    if (!fits) {
        if (!may_preempt) return false;
        if (!make_room(first, need, excess, need.slots - slots, need.blocks - blocks)) return false;
    } else if (passes_another) {
        ++num_passed_;
    }
    start(principal, need);
    return true;
}

Scheduler::Room Scheduler::look_for_room() const {
    Room room{.slots = max_running_, .blocks = pool_.num_free()};
    for (const auto& principal : shares_.principals()) {
        room.slots -= principal->num_slots;
        room.prefill_tokens += principal->num_prefill_tokens;
        room.largest_excess = std::max(room.largest_excess, shares_.excess(*principal));
    }
    for (const auto& sequence : running_) room.blocks -= blocks_ahead(*sequence);
    return room;
}

Scheduler::Need Scheduler::need_of(Sequence& sequence) {
    Need need{.slots = sequence.num_slots(), .blocks = blocks_for(sequence.num_tokens())};
    need.blocks += need.slots - 1;  // each other choice copies or adds a block
    if (!options_.prefix_cache) return need;
    // The last known token is always computed: its logits are wanted.
    const std::int32_t most = (sequence.num_tokens() - 1) / kv_block_size;
    name_blocks(sequence, most);
    for (; need.cached_blocks < most; ++need.cached_blocks) {
        const auto block = pool_.find(sequence.block_hashes[static_cast<std::size_t>(need.cached_blocks)]);
        if (!block) break;
        if (pool_.num_references(*block) > 0) --need.blocks;
    }
    return need;
}

void Scheduler::start(PrincipalShare& principal, const Need& need) {
    SequencePtr sequence = shares_.pop(principal);
    for (std::int32_t i = 0; i < need.cached_blocks; ++i) {
        const auto block = pool_.find(sequence->block_hashes[static_cast<std::size_t>(i)]);
        if (!block) throw std::logic_error("a cached block vanished before its use");
        pool_.retain(*block);
        sequence->block_table.push_back(*block);
    }
    sequence->num_registered_blocks = need.cached_blocks;
    sequence->num_computed_tokens = need.cached_blocks * kv_block_size;
    sequence->prefilling = true;
    if (sequence->num_preemptions == 0) {
        sequence->num_cached_tokens = sequence->num_computed_tokens;
        if (options_.prefix_cache) {
            counters_.prefix_cache_queries += static_cast<std::uint64_t>(sequence->num_prompt_tokens);
            counters_.prefix_cache_hits += static_cast<std::uint64_t>(sequence->num_cached_tokens);
        }
    }
    principal.num_slots += sequence->num_slots();
    principal.num_blocks += need.cached_blocks;
    principal.num_prefill_tokens += sequence->num_uncomputed_tokens();
    insert_running(std::move(sequence));
}

// Preempts until so much more is free; does nothing and gives false if that cannot be reached. Who gives way
// is further above its share than `excess`, the newcomer's principal's once it is admitted, and stays as far:
// so the furthest comes down with every exchange, and no two take turns in preempting each other.
bool Scheduler::make_room(const Sequence& newcomer, const Need& need, std::int64_t excess, std::int32_t slots,
                          std::int32_t blocks) {
    const auto cached = std::span(newcomer.block_hashes).first(static_cast<std::size_t>(need.cached_blocks));
    const auto set_references = [&](std::int32_t count) {
        for (const BlockHash& hash : cached) {
            if (const auto block = pool_.find(hash))
                victim_references_[static_cast<std::size_t>(*block)] = count;
        }
    };
    set_references(-1);  // the newcomer refers to them at once: they never count as freed
    victims_.clear();
    std::int32_t freed = 0;
    while (slots > 0 || blocks > freed) {
        Sequence* const victim = victim_above(std::max<std::int64_t>(excess, 0), newcomer);
        if (victim == nullptr) break;
        victims_.push_back(victim);
        victim->is_giving_way = true;
        slots -= victim->num_slots();
        freed += blocks_ahead(*victim) + blocks_freed_with(*victim);
        // As if it had left already, so that the next one comes from whoever is furthest above then.
        victim->principal->num_slots -= victim->num_slots();
        victim->principal->num_blocks -= static_cast<std::int32_t>(victim->block_table.size());
    }
    set_references(0);
    for (Sequence* victim : victims_) {
        victim->is_giving_way = false;
        victim->principal->num_slots += victim->num_slots();
        victim->principal->num_blocks += static_cast<std::int32_t>(victim->block_table.size());
        for (const BlockId block : victim->block_table) {
            victim_references_[static_cast<std::size_t>(block)] = 0;
        }
    }
    if (slots > 0 || blocks > freed) return false;
    for (Sequence* victim : victims_) preempt(*victim);
    std::erase(running_, nullptr);
    return true;
}

// Its blocks to which, besides, at most the victims before it refer: so shared ones count with their last
// holder.
std::int32_t Scheduler::blocks_freed_with(const Sequence& victim) {
    std::int32_t freed = 0;
    for (const BlockId block : victim.block_table) {
        const std::int32_t held = ++victim_references_[static_cast<std::size_t>(block)];
        freed += held == pool_.num_references(block) ? 1 : 0;
    }
    return freed;
}

// The youngest sequence of the principal furthest above its fair share, by more than `excess`.
Sequence* Scheduler::victim_above(std::int64_t excess, const Sequence& newcomer) const {
    Sequence* victim = nullptr;
    std::int64_t furthest = excess + 1;
    for (std::size_t i = 1; i < running_.size(); ++i) {  // never the oldest
        Sequence& candidate = *running_[i];
        const std::int64_t above = shares_.excess(*candidate.principal);
        if (candidate.is_giving_way || above < furthest || !may_yield(candidate, newcomer)) continue;
        // Where shares are too small for anybody's request, equals must not take turns in evicting each
        // other.
        const std::int64_t without = shares_.excess(*candidate.principal, -candidate.num_slots(),
                                                    -static_cast<std::int32_t>(candidate.block_table.size()));
        if (excess > 0 && without < excess) continue;
        furthest = above;
        victim = &candidate;
    }
    return victim;
}

// Who gives up its blocks for a running sequence that needs one. The order is total: by how far the principal
// is above its share, then by arrival.
Sequence* Scheduler::victim_for(const Sequence& needy) const {
    const auto rank = [this](const Sequence& sequence) {
        const std::int64_t excess = std::max<std::int64_t>(shares_.excess(*sequence.principal), 0);
        return std::tuple(excess, sequence.arrival, sequence.choice());
    };
    const auto oldest = std::ranges::find_if(running_, [](const auto& s) { return s != nullptr; });
    const bool takes_from_anybody = oldest->get() == &needy;
    const auto needy_rank = rank(needy);
    Sequence* victim = nullptr;
    for (auto it = oldest + 1; it < running_.end(); ++it) {
        Sequence* const candidate = it->get();
        if (candidate == nullptr || candidate == &needy || !may_yield(*candidate, needy)) continue;
        if (!takes_from_anybody && rank(*candidate) < needy_rank) continue;
        if (victim == nullptr || rank(*victim) < rank(*candidate)) victim = candidate;
    }
    return victim;
}

// Back among the waiting, to be computed again. Leaves a null among the running.
void Scheduler::preempt(Sequence& victim) {
    const auto found = std::ranges::find(running_, &victim, &SequencePtr::get);
    SequencePtr preempted = std::move(*found);
    tokens_left_ += victim.num_scheduled_tokens;
    PrincipalShare& principal = *victim.principal;
    principal.deficit += victim.num_scheduled_tokens;
    if (victim.prefilling) {
        principal.num_prefill_tokens =
            std::max(principal.num_prefill_tokens - victim.num_unscheduled_tokens(), 0);
    }
    leave(victim);
    victim.num_scheduled_tokens = 0;
    victim.num_computed_tokens = 0;
    victim.num_registered_blocks = 0;
    victim.prefilling = false;
    ++victim.num_preemptions;
    ++counters_.num_preemptions;
    shares_.push(std::move(preempted));
}

// Blocks that the sequence and its other choices will still ask for until all they know is computed, and one
// block more. Who is admitted into less would soon be preempted.
std::int32_t Scheduler::blocks_ahead(const Sequence& sequence) const {
    const std::int32_t tokens = std::min(sequence.num_tokens() + kv_block_size, sequence.max_kv_tokens());
    const std::int32_t each = blocks_for(tokens);
    const std::int32_t shared = sequence.num_tokens() / kv_block_size;
    return each - static_cast<std::int32_t>(sequence.block_table.size()) +
           (sequence.num_slots() - 1) * std::max(each - shared, 0);
}

// Tokens for which blocks are held or free.
std::int32_t Scheduler::room_for(const Sequence& sequence) const {
    const auto held = static_cast<std::int32_t>(sequence.block_table.size());
    std::int32_t free = pool_.num_free();
    if (writes_shared_block(sequence) && --free < 0) return 0;
    return (held + free) * kv_block_size - sequence.num_computed_tokens - sequence.num_scheduled_tokens;
}

// Would the next token go into a block that others refer to as well?
bool Scheduler::writes_shared_block(const Sequence& sequence) const {
    const std::int32_t next = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    if (next % kv_block_size == 0 || sequence.num_scheduled_tokens > 0) return false;
    const BlockId block = sequence.block_table[static_cast<std::size_t>(next / kv_block_size)];
    return pool_.num_references(block) > 1;
}

// Allocates up to `num_tokens` tokens, and first a copy of a shared block that the step writes to.
void Scheduler::grow_table(Sequence& sequence, std::int32_t num_tokens) {
    const auto allocate = [this] {
        const auto block = pool_.allocate();
        if (!block) throw std::logic_error("fewer KV blocks are free than the pool counts");
        return *block;
    };
    const std::int32_t next = sequence.num_computed_tokens;
    if (sequence.copied_from < 0 && next % kv_block_size != 0) {
        BlockId& written = sequence.block_table[static_cast<std::size_t>(next / kv_block_size)];
        if (pool_.num_references(written) > 1) {
            sequence.copied_from = std::exchange(written, allocate());
            pool_.release(sequence.copied_from);
            copy_sources_.push_back(sequence.copied_from);
        }
    }
    while (std::cmp_less(sequence.block_table.size(), blocks_for(num_tokens))) {
        sequence.block_table.push_back(allocate());
        ++sequence.principal->num_blocks;
    }
}

// Gives back the blocks beyond `num_tokens` tokens: those of drafts that were wrong.
void Scheduler::trim_table(Sequence& sequence, std::int32_t num_tokens) {
    while (std::cmp_greater(sequence.block_table.size(), blocks_for(num_tokens))) {
        release(sequence.block_table.back());
        sequence.block_table.pop_back();
        --sequence.principal->num_blocks;
    }
}

// Hashes of the first `num_blocks` whole blocks of what is known.
void Scheduler::name_blocks(Sequence& sequence, std::int32_t num_blocks) {
    auto& hashes = sequence.block_hashes;
    while (std::cmp_less(hashes.size(), num_blocks)) {
        const BlockHash parent =
            hashes.empty() ? root_hash(options_.hash_key, sequence.request.cache_salt) : hashes.back();
        const auto tokens =
            std::span(sequence.token_ids).subspan(hashes.size() * kv_block_size, kv_block_size);
        hashes.push_back(chained_hash(options_.hash_key, parent, tokens));
    }
}

void Scheduler::register_blocks(Sequence& sequence) {
    if (!options_.prefix_cache) return;
    const std::int32_t whole = sequence.num_computed_tokens / kv_block_size;
    name_blocks(sequence, whole);
    for (std::int32_t& i = sequence.num_registered_blocks; i < whole; ++i) {
        const auto index = static_cast<std::size_t>(i);
        pool_.register_content(sequence.block_table[index], sequence.block_hashes[index]);
    }
}

// A block that the step in flight may still touch, or that this step copies from, is free only once the step
// was collected: a destination of a copy must not be a source as well.
void Scheduler::release(BlockId block) {
    if (!scheduled_.empty() || std::ranges::find(copy_sources_, block) != copy_sources_.end()) {
        quarantine_.push_back(block);
    } else {
        pool_.release(block);
    }
}

// The sequence holds nothing any more. From the end, so that the beginnings of prompts are cached longest.
void Scheduler::leave(Sequence& sequence) {
    PrincipalShare& principal = *sequence.principal;
    principal.num_slots -= sequence.num_slots();
    principal.num_blocks -= static_cast<std::int32_t>(sequence.block_table.size());
    for (const BlockId block : std::views::reverse(sequence.block_table)) release(block);
    sequence.block_table.clear();
    sequence.copied_from = -1;
}

}  // namespace solard
