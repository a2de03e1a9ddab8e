#include "inference/scheduling/progress.hpp"

#include <cstddef>
#include <cstdint>

namespace solard {
namespace {

using Phase = ProgressEvent::Phase;

void publish(Sequence& sequence, ProgressEvent now, std::vector<ProgressEvent>& out) {
    now.id = sequence.request.id;
    now.choice = sequence.choice();
    if (now.phase == sequence.progress.phase && now.done == sequence.progress.done) return;
    sequence.progress = now;
    out.push_back(now);
}

ProgressEvent stage_of_running(const Sequence& sequence) {
    if (!sequence.prefilling) return {.phase = Phase::decoding};
    return {.phase = Phase::prefill, .done = sequence.num_computed_tokens, .total = sequence.num_tokens()};
}

}  // namespace

void ProgressReport::append_changes(StepState& state, std::vector<ProgressEvent>& out) {
    for (const auto& sequence : state.running) publish(*sequence, stage_of_running(*sequence), out);
    // Waiting requests are counted in the order in which they would be admitted if no other request arrived:
    // the principals take turns.
    const auto principals = state.shares.principals();
    round_.clear();
    for (std::size_t i = 0; i < principals.size(); ++i) {
        round_.push_back(principals[(state.shares.admission_turn() + i) % principals.size()].get());
    }
    std::int32_t num_ahead = 0;
    for (std::size_t turn = 0; !round_.empty(); ++turn) {
        std::erase_if(round_, [turn](const auto* principal) { return turn >= principal->waiting.size(); });
        for (PrincipalShare* principal : round_) {
            Sequence& sequence = *principal->waiting[turn];
            const Phase phase = sequence.num_preemptions > 0 ? Phase::preempted : Phase::queued;
            publish(sequence, {.phase = phase, .done = num_ahead++}, out);
        }
    }
}

}  // namespace solard
