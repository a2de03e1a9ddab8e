#include "inference/scheduling/step_state.hpp"

#include <algorithm>
#include <utility>

#include "inference/sizes.hpp"

namespace solard {

StepState::StepState(std::int32_t max_running_sequences, std::int32_t num_blocks, std::int32_t step_budget)
    : max_running(max_running_sequences), shares(max_running_sequences, num_blocks, step_budget) {
    running.reserve(count_of(max_running_sequences));
}

void StepState::insert(SequencePtr sequence) {
    sequence->principal->num_slots += sequence->num_slots();
    insert_charged(std::move(sequence));
}

void StepState::insert_charged(SequencePtr sequence) {
    const auto earlier = [](const SequencePtr& a, const SequencePtr& b) { return arrived_before(*a, *b); };
    running.insert(std::ranges::upper_bound(running, sequence, earlier), std::move(sequence));
}

SequencePtr StepState::take(const Sequence& sequence) {
    const auto found = std::ranges::find(running, &sequence, &SequencePtr::get);
    if (found == running.end()) return nullptr;
    SequencePtr taken = std::move(*found);
    running.erase(found);
    taken->principal->num_slots -= taken->num_slots();
    return taken;
}

SequencePtr StepState::take_leaving_gap(const Sequence& sequence) {
    SequencePtr taken = std::move(*std::ranges::find(running, &sequence, &SequencePtr::get));
    taken->principal->num_slots -= taken->num_slots();
    return taken;
}

}  // namespace solard
