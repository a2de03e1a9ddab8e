// Decides which waiting request starts next, and which running sequence is preempted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "inference/request.hpp"
#include "inference/scheduling/block_tables.hpp"
#include "inference/scheduling/step_state.hpp"

namespace solard {

// Admits waiting requests and preempts running sequences, as the policy of Scheduler says.
class Admission {
  public:
    // `state` and `tables` must outlive the object.
    Admission(StepState& state, BlockTables& tables);

    // Starts waiting requests as long as slots, blocks and the step's budget allow.
    void admit();
    // Preempts one sequence, to free a block for the running sequence `needy`. Returns false if there is no
    // sequence that `needy` may preempt. Leaves a null in place of the preempted sequence.
    bool preempt_for(const Sequence& needy);
    void fill_snapshot(EngineSnapshot& snapshot) const { snapshot.num_preemptions = num_preemptions_; }

  private:
    // The slots and blocks that a waiting sequence needs to run.
    struct Need {
        std::int32_t slots = 0;
        std::int32_t blocks = 0;         // blocks that must be free now
        std::int32_t cached_blocks = 0;  // number of the sequence's first blocks that are in the prefix cache
    };

    // The free slots, and the free blocks that no running sequence will soon need.
    struct Capacity {
        std::int32_t slots = 0;
        std::int32_t blocks = 0;
        std::int64_t prefill_tokens = 0;  // tokens of the budget that running prompts still want
        std::int64_t largest_excess = 0;  // of the principal furthest above its share
    };

    bool admit_first(PrincipalShare& principal, const Capacity& capacity, bool passes_another);
    Capacity free_capacity() const;
    Need need_of(Sequence& sequence);
    void keep_turn(std::size_t index);
    void start(PrincipalShare& principal, const Need& need);

    bool preempt_for_newcomer(const Sequence& newcomer, const Need& need, std::int64_t excess,
                              std::int32_t slots, std::int32_t blocks);
    void set_references(const Sequence& newcomer, std::int32_t num_cached_blocks, std::int32_t count);
    std::int32_t blocks_freed_with(const Sequence& victim);
    Sequence* victim_above(std::int64_t excess, const Sequence& newcomer) const;
    Sequence* victim_for(const Sequence& needy) const;
    void preempt(Sequence& victim);

    StepState& state_;
    BlockTables& tables_;
    std::uint64_t turn_keeper_ = ~std::uint64_t{0};  // arrival of the request that keeps its turn
    std::int32_t num_passed_ = 0;                    // requests that have overtaken the turn keeper
    std::vector<Sequence*> victims_;
    std::vector<std::int32_t> victim_references_;  // [num_blocks], references by victims_; 0 between uses
    std::uint64_t num_preemptions_ = 0;
};

}  // namespace solard
