#include "inference/scheduling/integrity.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "inference/backend.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

using References = std::vector<std::int32_t>;  // [num_blocks]

void require(bool condition, const Sequence& sequence, const char* problem) {
    if (condition) return;
    throw std::logic_error("request " + std::to_string(sequence.request.id) + ", choice " +
                           std::to_string(sequence.choice()) + ": " + problem);
}

void check_waiting(const PrincipalShare& principal) {
    const Sequence* previous = nullptr;
    for (const auto& sequence : principal.waiting) {
        require(sequence->finish == FinishReason::none, *sequence, "has ended but was not removed");
        require(sequence->block_table.empty(), *sequence, "holds blocks while it waits");
        require(sequence->num_computed_tokens == 0, *sequence, "has computed tokens but no blocks");
        if (previous && previous->request.priority == sequence->request.priority) {
            require(arrived_before(*previous, *sequence), *sequence,
                    "is in the wrong place among the waiting sequences");
        }
        previous = sequence.get();
    }
}

void check_charges(const PrincipalShare& principal, const StepState& state) {
    std::int32_t num_slots = 0;
    std::int32_t num_blocks = 0;
    for (const auto& sequence : state.running) {
        if (sequence->principal != &principal) continue;
        num_slots += sequence->num_slots();
        num_blocks += static_cast<std::int32_t>(sequence->block_table.size());
    }
    if (num_slots == principal.num_slots && num_blocks == principal.num_blocks) return;
    throw std::logic_error("principal " + std::to_string(principal.id) + " holds " +
                           std::to_string(num_slots) + " slots and " + std::to_string(num_blocks) +
                           " blocks, but is charged for " + std::to_string(principal.num_slots) +
                           " slots and " + std::to_string(principal.num_blocks) + " blocks");
}

void check_principals(const StepState& state) {
    std::int32_t num_slots = 0;
    std::size_t num_waiting = 0;
    for (const auto& principal : state.shares.principals()) {
        check_charges(*principal, state);
        check_waiting(*principal);
        num_slots += principal->num_slots;
        num_waiting += principal->waiting.size();
    }
    if (num_slots > state.max_running) throw std::logic_error("more sequences run than one step can serve");
    if (num_waiting != state.shares.num_waiting()) {
        throw std::logic_error("the number of waiting sequences is wrong");
    }
}

// Checks the blocks of the sequence, and adds its references to these blocks to `references`.
void check_blocks(const Sequence& sequence, const BlockPool& pool, References& references) {
    const std::int32_t known = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    require(static_cast<std::int32_t>(sequence.block_table.size()) == blocks_for(known), sequence,
            "holds a wrong number of blocks");
    for (std::size_t i = 0; i < sequence.block_table.size(); ++i) {
        const BlockId block = sequence.block_table[i];
        ++references.at(count_of(block));
        const bool is_written = sequence.num_scheduled_tokens > 0 &&
                                std::cmp_greater_equal(i, sequence.num_computed_tokens / kv_block_size);
        require(!is_written || (pool.num_references(block) == 1 && !pool.is_registered(block)), sequence,
                "writes to a block that other sequences may read");
    }
}

void check_running(const StepState& state, const BlockPool& pool, References& references) {
    const Sequence* previous = nullptr;
    for (const auto& sequence : state.running) {
        require(!previous || arrived_before(*previous, *sequence), *sequence,
                "is in the wrong place among the running sequences");
        require(sequence->finish == FinishReason::none, *sequence, "has ended but was not removed");
        require(sequence->num_uncomputed_tokens() > 0, *sequence, "has nothing left to compute");
        require(sequence->prefilling || sequence->num_uncomputed_tokens() == 1, *sequence,
                "decodes more than one token at a time");
        check_blocks(*sequence, pool, references);
        previous = sequence.get();
    }
}

}  // namespace

void check_integrity(const StepState& state, const BlockTables& tables) {
    const BlockPool& pool = tables.pool();
    pool.check_integrity();
    check_principals(state);
    References references(count_of(pool.num_blocks()));
    for (const BlockId block : tables.quarantine()) ++references.at(count_of(block));
    check_running(state, pool, references);
    for (BlockId block = 0; block < pool.num_blocks(); ++block) {
        const std::int32_t expected = references[count_of(block)];
        if (expected == pool.num_references(block)) continue;
        throw std::logic_error("KV block " + std::to_string(block) + " counts " +
                               std::to_string(pool.num_references(block)) + " references, but has " +
                               std::to_string(expected));
    }
}

}  // namespace solard
