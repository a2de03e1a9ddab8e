#include "inference/engine/engine_core.hpp"

#include <stdexcept>
#include <utility>

#include "inference/sizes.hpp"

namespace solard {

EngineCore::EngineCore(Backend& backend, const Tokenizer& tokenizer, const SchedulerOptions& options,
                       TimeSource time_source)
    : backend_(backend), tokenizer_(tokenizer), now_(std::move(time_source)), scheduler_(options) {}

void EngineCore::step(StepEvents& events) {
    const Clock::time_point begin = now_();
    const ForwardBatch& batch = scheduler_.schedule(begin);
    if (batch.num_tokens() > 0) {
        backend_.submit(batch);
        if (batch.num_masks > 0) {
            scheduler_.fill_masks(masks_);
            backend_.sample(masks_);
        }
        backend_.collect(results_);
    }
    const auto advanced = scheduler_.complete(results_);
    if (advanced.empty() && batch.num_tokens() == 0) throw std::logic_error("no sequence advances");
    for (const Scheduler::Advance& advance : advanced) report(advance, events);
    scheduler_.append_progress(events.progress);
    measure(begin, events);
}

void EngineCore::abort(errc error, StepEvents& events) {
    scheduler_.abort(error);
    for (const Scheduler::Advance& advance : scheduler_.complete({})) report(advance, events);
    events.snapshot = scheduler_.snapshot();
    events.snapshot.generated_tokens = generated_tokens_;
}

// Appends the event of a sequence that got tokens or scores or ended, and applies the stop rules to its
// tokens.
void EngineCore::report(const Scheduler::Advance& advance, StepEvents& events) {
    Sequence& sequence = *advance.sequence;
    StepEvent event{.id = sequence.request.id,
                    .choice = sequence.choice(),
                    .text_begin = static_cast<std::uint32_t>(events.text.size()),
                    .tokens_begin = static_cast<std::uint32_t>(events.token_ids.size()),
                    .logprobs_begin = static_cast<std::uint32_t>(events.logprobs.size()),
                    .prompt_logprobs_begin = static_cast<std::uint32_t>(events.prompt_logprobs.size()),
                    .num_prompt_logprobs = static_cast<std::uint32_t>(advance.num_scores),
                    .finish = sequence.finish,
                    .error = sequence.error};
    const auto first_score = results_.scores.begin() + std::ptrdiff_t{advance.first_score};
    events.prompt_logprobs.insert(events.prompt_logprobs.end(), first_score,
                                  first_score + std::ptrdiff_t{advance.num_scores});
    if (advance.num_tokens > 0 && sequence.num_generated_tokens() == 0) {
        event.num_cached_tokens = sequence.num_cached_tokens;
    }
    for (std::int32_t i = 0; i < advance.num_tokens && event.finish == FinishReason::none; ++i) {
        report_token(advance, i, event, events);
    }
    // If max_tokens is 0, the answer ends when the prompt is computed.
    if (event.finish == FinishReason::none && sequence.num_uncomputed_tokens() == 0) {
        event.finish = FinishReason::length;
    }
    event.text_size = static_cast<std::uint32_t>(events.text.size()) - event.text_begin;
    event.num_logprobs = static_cast<std::uint32_t>(events.logprobs.size()) - event.logprobs_begin;
    event.error = sequence.error;
    event.matched_stop = sequence.matched_stop;
    event.matched_stop_token = sequence.matched_stop_token;
    events.events.push_back(event);
    if (sequence.finish == FinishReason::none && event.finish != FinishReason::none) {
        scheduler_.finish(sequence, event.finish);
    }
}

void EngineCore::report_token(const Scheduler::Advance& advance, std::int32_t index, StepEvent& event,
                              StepEvents& events) {
    Sequence& sequence = *advance.sequence;
    const TokenId token = sequence.token_ids[count_of(sequence.num_accepted_tokens)];
    const auto row = count_of(advance.first_row) + count_of(index);
    if (const std::int32_t alternatives = sequence.request.sampling.num_logprobs; alternatives >= 0) {
        events.logprobs.push_back({token, results_.rows.at(row).logprob});
        const auto first =
            results_.top_logprobs.begin() + static_cast<std::ptrdiff_t>(row * max_top_logprobs);
        events.logprobs.insert(events.logprobs.end(), first, first + alternatives);
    }
    events.token_ids.push_back(token);
    ++event.num_tokens;
    ++generated_tokens_;
    const std::string_view bytes = tokenizer_.bytes_of(token, sequence.request.skip_special_tokens);
    event.finish = sequence.accept_token(bytes, events.text);
}

void EngineCore::measure(Clock::time_point begin, StepEvents& events) {
    events.snapshot = scheduler_.snapshot();
    const Clock::time_point end = now_();
    const Clock::duration elapsed = end - begin;
    recent_seconds_ += std::chrono::duration<double>(elapsed).count();
    recent_tokens_ += static_cast<double>(events.token_ids.size());
    if (recent_seconds_ > 1) {
        recent_seconds_ /= 2;
        recent_tokens_ /= 2;
    }
    events.snapshot.generated_tokens = generated_tokens_;
    events.snapshot.step_end = end;
    events.snapshot.step_time = elapsed;
    events.snapshot.tokens_per_second = recent_seconds_ > 0 ? recent_tokens_ / recent_seconds_ : 0;
}

}  // namespace solard
