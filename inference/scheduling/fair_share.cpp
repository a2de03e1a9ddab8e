#include "inference/scheduling/fair_share.hpp"

#include <algorithm>
#include <utility>

namespace solard {
namespace {

bool served_before(const SequencePtr& a, const SequencePtr& b) {
    if (a->request.priority != b->request.priority) return a->request.priority < b->request.priority;
    return arrived_before(*a, *b);
}

}  // namespace

// A turn is at most an eighth of a step, so that one step can serve several principals.
FairShare::FairShare(std::int32_t num_slots, std::int32_t num_blocks, std::int32_t step_tokens)
    : num_slots_(num_slots), num_blocks_(num_blocks), quantum_(std::clamp(step_tokens / 8, 1, 64)) {}

void FairShare::begin_step() {
    drop_idle();
    for (const auto& principal : principals_) {
        principal->deficit = std::max(principal->deficit, -quantum_);
    }
}

PrincipalShare& FairShare::principal_of(const Principal& principal) {
    const auto found = std::ranges::find(principals_, principal.id, [](const auto& p) { return p->id; });
    if (found != principals_.end()) {
        const std::int64_t weight = std::max(principal.weight, 1);
        total_weight_ += weight - std::exchange((*found)->weight, weight);
        return **found;
    }
    auto added = std::make_unique<PrincipalShare>();
    added->id = principal.id;
    added->weight = std::max(principal.weight, 1);
    total_weight_ += added->weight;
    return *principals_.emplace_back(std::move(added));
}

void FairShare::push(SequencePtr sequence) {
    if (sequence->principal == nullptr) sequence->principal = &principal_of(sequence->request.principal);
    auto& waiting = sequence->principal->waiting;
    waiting.insert(std::ranges::upper_bound(waiting, sequence, served_before), std::move(sequence));
    ++num_waiting_;
}

SequencePtr FairShare::pop(PrincipalShare& principal) {
    SequencePtr sequence = std::move(principal.waiting.front());
    principal.waiting.pop_front();
    --num_waiting_;
    return sequence;
}

void FairShare::drop_idle() {
    for (std::size_t i = principals_.size(); i-- > 0;) {
        const PrincipalShare& principal = *principals_[i];
        if (principal.num_slots > 0 || !principal.waiting.empty()) continue;
        total_weight_ -= principal.weight;
        principals_.erase(principals_.begin() + static_cast<std::ptrdiff_t>(i));
        if (admission_turn_ > i) --admission_turn_;
        if (prefill_turn_ > i) --prefill_turn_;
    }
    if (admission_turn_ >= principals_.size()) admission_turn_ = 0;
    if (prefill_turn_ >= principals_.size()) prefill_turn_ = 0;
}

PrincipalShare* FairShare::prefill_turn() {
    std::int64_t largest_weight = 0;  // of the principals that want prompt tokens
    for (const auto& principal : principals_) {
        if (principal->num_prefill_tokens > 0) largest_weight = std::max(largest_weight, principal->weight);
    }
    if (largest_weight == 0) return nullptr;
    for (;;) {
        PrincipalShare& principal = *principals_[prefill_turn_];
        if (principal.num_prefill_tokens > 0) {
            if (principal.deficit <= 0) {
                const std::int64_t turn = quantum_ * principal.weight + principal.turn_remainder;
                principal.deficit += turn / largest_weight;
                principal.turn_remainder = turn % largest_weight;
            }
            if (principal.deficit > 0) return &principal;  // otherwise decodes have used up this turn
        }
        end_prefill_turn();
    }
}

void FairShare::end_prefill_turn() {
    PrincipalShare& principal = *principals_[prefill_turn_];
    if (principal.num_prefill_tokens == 0) principal.deficit = 0;
    prefill_turn_ = (prefill_turn_ + 1) % principals_.size();
}

}  // namespace solard
