#include "inference/scheduling/speculation.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "inference/scheduling/prompt_lookup.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

constexpr std::int32_t max_drafts = 8;  // of one sequence in one step

// Appends the tokens with which the grammar says that the answer must go on. Returns their number.
std::int32_t append_forced_tokens(Sequence& sequence, std::int32_t max_tokens) {
    if (!sequence.grammar) return 0;
    GrammarState& grammar = *sequence.grammar;
    const std::size_t known = sequence.token_ids.size();
    std::int32_t count = 0;
    try {
        while (count < max_tokens && !grammar.has_ended()) {
            const auto token = grammar.forced_token();
            if (!token || !grammar.accept(*token)) break;
            sequence.token_ids.push_back(*token);
            ++count;
        }
    } catch (const std::exception&) {
        // A fault of the library. The next mask meets it too, and ends the request.
        sequence.token_ids.resize(known);
        grammar.roll_back(count);
        return 0;
    }
    grammar.roll_back(count);
    return count;
}

}  // namespace

Speculation::Speculation(StepState& state, BlockTables& tables, std::int32_t max_step_rows)
    : state_(state), tables_(tables), max_step_rows_(max_step_rows) {}

void Speculation::schedule_drafts() {
    const auto decodes = [](const SequencePtr& sequence) {
        return !sequence->prefilling && sequence->num_scheduled_tokens == 1;
    };
    const auto num_rows = static_cast<std::int32_t>(state_.running.size());
    if (num_rows >= max_step_rows_ || !std::ranges::all_of(state_.running, decodes)) return;
    std::int32_t rows_left = std::min(max_step_rows_, state_.max_running) - num_rows;
    for (const auto& sequence : state_.running) {
        append_draft(*sequence, std::min(rows_left, state_.tokens_left));
        rows_left -= sequence->num_draft_tokens;
    }
}

void Speculation::append_draft(Sequence& sequence, std::int32_t max_tokens) {
    // The step also draws the token after the last draft, so max_tokens must allow one token more than the
    // drafts.
    const std::int32_t generated = sequence.num_tokens() - sequence.num_prompt_tokens;
    max_tokens =
        std::min({max_tokens, sequence.request.max_tokens - generated - 1, tables_.capacity_for(sequence)});
    max_tokens = std::min(max_tokens, max_drafts);
    if (max_tokens <= 0) return;
    sequence.num_draft_tokens = append_forced_tokens(sequence, max_tokens);
    if (sequence.num_draft_tokens == 0) {
        const auto draft =
            find_draft(sequence.token_ids, count_of(std::min(max_tokens, sequence.draft_limit)));
        // `draft` points into token_ids, whose memory is reserved: push_back() does not move it.
        for (const TokenId token : draft) sequence.token_ids.push_back(token);
        sequence.num_draft_tokens = static_cast<std::int32_t>(draft.size());
    }
    sequence.num_scheduled_tokens += sequence.num_draft_tokens;
    state_.tokens_left -= sequence.num_draft_tokens;
    num_drafted_ += count_of(sequence.num_draft_tokens);
    tables_.grow(sequence);
}

// A draft is confirmed if it equals the token that was drawn from the row before it. In this case, the
// draft's own row was computed from the same tokens as without speculation.
std::int32_t Speculation::keep_confirmed_drafts(Sequence& sequence, const StepResults& results) {
    const auto known = count_of(sequence.num_tokens());
    const std::int32_t num_drafts = std::exchange(sequence.num_draft_tokens, 0);
    std::int32_t confirmed = 0;
    for (;; ++confirmed) {
        const auto offset = count_of(confirmed);
        const SampledToken& drawn = results.rows.at(count_of(sequence.first_row) + offset);
        const std::size_t place = known + offset;
        const bool is_chosen = drawn.finite && confirmed != sequence.dead_end;
        if (confirmed < num_drafts && is_chosen && sequence.token_ids[place] == drawn.token) continue;
        sequence.token_ids.resize(place);
        if (!is_chosen) break;  // the next step computes this row again, as the first row of the sequence
        sequence.token_ids.push_back(drawn.token);
        break;
    }
    num_accepted_ += static_cast<std::uint64_t>(confirmed);
    if (num_drafts > 0) {
        sequence.draft_limit =
            confirmed == num_drafts ? std::min(2 * sequence.draft_limit, max_drafts) : std::max(confirmed, 1);
    }
    return static_cast<std::int32_t>(sequence.token_ids.size() - known);
}

void Speculation::fill_snapshot(EngineSnapshot& snapshot) const {
    snapshot.draft_tokens = num_drafted_;
    snapshot.accepted_draft_tokens = num_accepted_;
}

}  // namespace solard
