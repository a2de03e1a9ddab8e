#include "inference/scheduling/batch_builder.hpp"

#include <algorithm>

#include "inference/sizes.hpp"

namespace solard {
namespace {

// Appends the row that chooses the token after the first `position` tokens of the sequence. `row` is the
// index in the batch of the last of these tokens.
void append_row(ForwardBatch& batch, const Sequence& sequence, std::int32_t row, std::int32_t position) {
    batch.logits_rows.push_back(row);
    batch.sampling.push_back({.params = sequence.request.sampling,
                              .sequence = sequence.request.id * max_choices + sequence.choice(),
                              .position = position,
                              .context = std::span(sequence.token_ids).first(count_of(position)),
                              .num_prompt_tokens = sequence.num_prompt_tokens,
                              .logit_bias = sequence.request.logit_bias,
                              .banned = sequence.banned_tokens(position - sequence.num_prompt_tokens),
                              .mask = sequence.grammar ? batch.num_masks++ : -1});
}

// Asks for the log-probability of the prompt's token at index `position`. The token before it was appended
// last.
void append_scored_token(ForwardBatch& batch, const Sequence& sequence, std::int32_t position) {
    batch.scored_tokens.push_back({.row = batch.num_tokens() - 1,
                                   .token = sequence.token_ids[count_of(position)],
                                   .num_alternatives = sequence.request.num_prompt_logprobs,
                                   .first_score = batch.num_scores()});
}

void append_sequence(ForwardBatch& batch, Sequence& sequence) {
    const std::int32_t end = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    sequence.first_score = batch.num_scores();
    for (std::int32_t position = sequence.num_computed_tokens; position < end; ++position) {
        const BlockId block = sequence.block_table[count_of(position / kv_block_size)];
        batch.token_ids.push_back(sequence.token_ids[count_of(position)]);
        batch.positions.push_back(position);
        batch.slot_mapping.push_back(block * kv_block_size + position % kv_block_size);
        const std::int32_t next = position + 1;
        if (next >= sequence.num_scored_tokens && next < sequence.num_prompt_tokens) {
            append_scored_token(batch, sequence, next);
        }
    }
    sequence.num_scores = batch.num_scores() - sequence.first_score;
    batch.cu_seqlens_q.push_back(batch.num_tokens());
    batch.context_lens.push_back(end);
    const auto row_end = batch.context_lens.size() * count_of(batch.block_table_stride);
    batch.block_tables.insert(batch.block_tables.end(), sequence.block_table.begin(),
                              sequence.block_table.end());
    batch.block_tables.resize(row_end, -1);
    if (sequence.copied_from >= 0) {
        const auto copied = count_of(sequence.num_computed_tokens / kv_block_size);
        batch.block_copies.push_back({sequence.copied_from, sequence.block_table[copied]});
    }
    if (!sequence.samples()) return;
    sequence.first_row = batch.num_rows();
    const std::int32_t first_row = batch.num_tokens() - 1 - sequence.num_draft_tokens;
    for (std::int32_t draft = 0; draft <= sequence.num_draft_tokens; ++draft) {
        append_row(batch, sequence, first_row + draft, sequence.num_tokens() + draft);
    }
    for (const auto& fork : sequence.forks) append_row(batch, *fork, first_row, sequence.num_tokens());
}

}  // namespace

void reserve_batch(ForwardBatch& batch, std::int32_t max_tokens, std::int32_t max_seqs,
                   std::int32_t max_model_len) {
    const auto tokens = count_of(max_tokens);
    const auto seqs = count_of(max_seqs);
    batch.token_ids.reserve(tokens);
    batch.positions.reserve(tokens);
    batch.slot_mapping.reserve(tokens);
    batch.cu_seqlens_q.reserve(seqs + 1);
    batch.context_lens.reserve(seqs);
    batch.block_tables.reserve(seqs * count_of(blocks_for(max_model_len)));
    batch.logits_rows.reserve(seqs);
    batch.sampling.reserve(seqs);
    batch.scored_tokens.reserve(tokens);
    batch.block_copies.reserve(seqs);
}

void fill_batch(ForwardBatch& batch, std::span<Sequence* const> scheduled) {
    batch.clear();
    batch.cu_seqlens_q.push_back(0);
    std::size_t stride = 0;
    for (const Sequence* sequence : scheduled) stride = std::max(stride, sequence->block_table.size());
    batch.block_table_stride = static_cast<std::int32_t>(stride);
    for (Sequence* sequence : scheduled) append_sequence(batch, *sequence);
}

}  // namespace solard
