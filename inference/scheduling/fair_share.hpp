// Fair shares between principals: who waits, who holds what, whose turn it is, who must give way.
//
// A principal's use of the engine is its dominant share: the larger of its parts of all slots and of all KV
// blocks (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011). Its fair share is its weight beside the
// weights of all principals that have anything waiting or running. The tokens of a step that prompts may use
// are dealt out by deficit round robin (Shreedhar, Varghese, SIGCOMM 1995), weighted.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "inference/scheduling/sequence.hpp"

namespace solard {

using SequencePtr = std::unique_ptr<Sequence>;

struct PrincipalShare {
    std::uint64_t id = 0;
    std::int64_t weight = 1;
    std::deque<SequencePtr> waiting;  // by priority, then by arrival
    std::int32_t num_slots = 0;       // of running sequences
    std::int32_t num_blocks = 0;      // held by them; a shared block counts for each holder
    std::int64_t deficit = 0;         // prompt tokens that it may schedule now; negative: owed by its decodes
    std::int32_t num_prefill_tokens = 0;  // wanted by its running prompts and not scheduled in this step
};

class FairShare {
  public:
    // `step_tokens` is the budget of a step.
    FairShare(std::int32_t num_slots, std::int32_t num_blocks, std::int32_t step_tokens);

    // Puts a sequence among its principal's waiting ones; a preempted one gets its old place.
    void push(SequencePtr sequence);
    // The first waiting one of this principal, which is not empty.
    SequencePtr pop(PrincipalShare& principal);
    // Moves every waiting sequence for which `wanted` holds to `out`.
    template <class Predicate>
    void extract(Predicate wanted, std::vector<SequencePtr>& out);
    // Between steps. Drops principals that have nothing waiting and nothing running (pointers to them end
    // here) and forgives debts beyond one turn.
    void begin_step();

    std::span<const std::unique_ptr<PrincipalShare>> principals() const { return principals_; }
    std::size_t num_waiting() const { return num_waiting_; }

    // How far the principal would be above its fair share with so much more; comparable between principals,
    // <= 0: not above.
    std::int64_t excess(const PrincipalShare& principal, std::int32_t more_slots = 0,
                        std::int32_t more_blocks = 0) const;

    // Index into principals() of the one whose waiting request is next. It stays the next one until it was
    // served or has nothing waiting.
    std::size_t admission_turn() const { return admission_turn_; }
    void set_admission_turn(std::size_t index) { admission_turn_ = index % principals_.size(); }
    // The one whose prompt tokens are next, with a positive deficit; nullptr when nobody wants any. It stays
    // the next one until its turn ends: when its deficit is used up or it wants no more.
    PrincipalShare* prefill_turn();
    void end_prefill_turn();

  private:
    PrincipalShare& principal_of(const Principal& principal);
    void drop_idle();

    std::int64_t num_slots_;
    std::int64_t num_blocks_;
    std::int64_t quantum_;                                     // prompt tokens of one turn, of weight 1
    std::vector<std::unique_ptr<PrincipalShare>> principals_;  // by first arrival: the ring of both turns
    std::int64_t total_weight_ = 0;
    std::size_t num_waiting_ = 0;
    std::size_t admission_turn_ = 0;
    std::size_t prefill_turn_ = 0;
};

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
