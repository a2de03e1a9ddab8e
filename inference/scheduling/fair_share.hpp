// Fair shares between principals: the waiting sequences of each principal, the slots and blocks in use, and
// the turns.
//
// A principal's use of the engine is its dominant share: its part of all slots or its part of all KV blocks,
// whichever is larger (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011). Its fair share is its weight
// divided by the sum of the weights of all principals that have anything waiting or running. The tokens that
// prompts may use in a step are distributed by weighted deficit round robin (Shreedhar, Varghese, SIGCOMM
// 1995).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "inference/scheduling/sequence.hpp"

namespace solard {

struct PrincipalShare {
    std::uint64_t id = 0;
    std::int64_t weight = 1;
    std::deque<SequencePtr> waiting;      // by priority, then by arrival
    std::int32_t num_slots = 0;           // slots of its running sequences
    std::int32_t num_blocks = 0;          // blocks of its running sequences, a shared block once per sequence
    std::int64_t deficit = 0;             // prompt tokens that it may schedule now; < 0 after many decodes
    std::int64_t turn_remainder = 0;      // part of a token that rounding took from its last turn
    std::int32_t num_prefill_tokens = 0;  // tokens that its running prompts still want in this step
};

class FairShare {
  public:
    // `step_tokens` is the number of tokens that one step may compute.
    FairShare(std::int32_t num_slots, std::int32_t num_blocks, std::int32_t step_tokens);

    // Adds a sequence to the waiting sequences of its principal, which takes the weight that the sequence's
    // request names. A preempted sequence gets its old place.
    void push(SequencePtr sequence);
    // Takes out the first waiting sequence of this principal. The principal must have a waiting sequence.
    SequencePtr pop(PrincipalShare& principal);
    // Moves all waiting sequences for which `wanted` returns true to `out`.
    template <class Predicate>
    void extract(Predicate wanted, std::vector<SequencePtr>& out);
    // Drops principals that have nothing waiting and nothing running; pointers to them become invalid. A
    // deficit below -N becomes -N, where N is the number of tokens of the largest turn. May be called between
    // steps only.
    void begin_step();

    std::span<const std::unique_ptr<PrincipalShare>> principals() const { return principals_; }
    std::size_t num_waiting() const { return num_waiting_; }

    // Returns how far the principal would be above its fair share if it used `more_slots` and `more_blocks`
    // in addition. A result of 0 or less means that the principal would not be above its share. Results for
    // different principals are comparable.
    std::int64_t excess(const PrincipalShare& principal, std::int32_t more_slots = 0,
                        std::int32_t more_blocks = 0) const;

    // Returns the index in principals() of the principal that may start a waiting request next.
    std::size_t admission_turn() const { return admission_turn_; }
    void set_admission_turn(std::size_t index) { admission_turn_ = index % principals_.size(); }
    // Returns the principal whose prompt tokens are next; its deficit is positive. Returns nullptr if no
    // principal wants prompt tokens. The caller must call end_prefill_turn() when the principal's deficit is
    // used up or the principal wants no more tokens.
    PrincipalShare* prefill_turn();
    void end_prefill_turn();

  private:
    PrincipalShare& principal_of(const Principal& principal);
    void drop_idle();

    std::int64_t num_slots_;
    std::int64_t num_blocks_;
    std::int64_t quantum_;  // prompt tokens of one turn of the principal with the largest weight
    // In the order of their first arrival. The principals get their admission turns and their prefill turns
    // in this order.
    std::vector<std::unique_ptr<PrincipalShare>> principals_;
    std::int64_t total_weight_ = 0;
    std::size_t num_waiting_ = 0;
    std::size_t admission_turn_ = 0;
    std::size_t prefill_turn_ = 0;
};

// This function is inline, because a full engine calls it for each pair of a waiting request and a running
// sequence.
inline std::int64_t FairShare::excess(const PrincipalShare& principal, std::int32_t more_slots,
                                      std::int32_t more_blocks) const {
    // All fractions are multiplied by their denominators, so that the numbers are integers.
    const std::int64_t slots = std::int64_t{principal.num_slots} + more_slots;
    const std::int64_t blocks = std::int64_t{principal.num_blocks} + more_blocks;
    const std::int64_t used = std::max(slots * num_blocks_, blocks * num_slots_);
    return used * total_weight_ - num_slots_ * num_blocks_ * principal.weight;
}

template <class Predicate>
void FairShare::extract(Predicate wanted, std::vector<SequencePtr>& out) {
    for (const auto& principal : principals_) {
        auto& waiting = principal->waiting;
        auto kept = waiting.begin();
        for (SequencePtr& sequence : waiting) {
            if (wanted(*sequence)) {
                out.push_back(std::move(sequence));
            } else {
                std::swap(*kept++, sequence);
            }
        }
        num_waiting_ -= static_cast<std::size_t>(waiting.end() - kept);
        waiting.erase(kept, waiting.end());
    }
}

}  // namespace solard
