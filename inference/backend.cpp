#include "inference/backend.hpp"

#include <algorithm>
#include <ranges>
#include <stdexcept>

#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {

void ForwardBatch::clear() {
    token_ids.clear();
    positions.clear();
    slot_mapping.clear();
    cu_seqlens_q.clear();
    context_lens.clear();
    block_tables.clear();
    logits_rows.clear();
    sampling.clear();
    scored_tokens.clear();
    block_copies.clear();
    num_masks = 0;
}

void check_batch(const ForwardBatch& batch, const BackendCapacity& capacity, std::int32_t vocab_size) {
    const std::size_t num_seqs = batch.context_lens.size();
    const bool fits =
        batch.num_tokens() <= capacity.max_tokens_per_step &&
        batch.num_seqs() <= capacity.max_seqs_per_step && batch.num_rows() <= capacity.max_seqs_per_step &&
        batch.sampling.size() == batch.logits_rows.size() &&
        batch.positions.size() == batch.token_ids.size() &&
        batch.slot_mapping.size() == batch.token_ids.size() && batch.cu_seqlens_q.size() == num_seqs + 1 &&
        batch.block_tables.size() >= num_seqs * count_of(batch.block_table_stride);
    const auto below = [](std::int32_t end) {
        return [end](std::int32_t value) { return value >= 0 && value < end; };
    };
    const auto is_length = [&](std::int32_t length) {
        return length >= 1 && length <= capacity.max_model_len &&
               length <= batch.block_table_stride * kv_block_size;
    };
    const auto is_block = below(capacity.num_blocks);
    const auto is_copy = [&](const BlockCopy& copy) {
        return is_block(copy.source) && is_block(copy.destination) && copy.source != copy.destination;
    };
    // Returns true if the sequence has new tokens, and has a KV block for every token that the new tokens
    // attend to.
    const auto is_sequence = [&](std::size_t i) {
        const std::int32_t count = batch.cu_seqlens_q[i + 1] - batch.cu_seqlens_q[i];
        const auto table = batch.block_tables.begin() +
                           static_cast<std::ptrdiff_t>(i) * std::ptrdiff_t{batch.block_table_stride};
        return count >= 1 && batch.context_lens[i] >= count &&
               std::all_of(table, table + divide_up(batch.context_lens[i], kv_block_size), is_block);
    };
    // Returns true if the row of the scored token comes after the row of the scored token before it, and if
    // its scores come right after the scores of that token.
    const auto is_scored = [&](std::size_t i) {
        const ScoredToken& scored = batch.scored_tokens[i];
        const ScoredToken before =
            i == 0 ? ScoredToken{.row = -1, .num_alternatives = -1} : batch.scored_tokens[i - 1];
        return scored.row > before.row && scored.row < batch.num_tokens() &&
               below(vocab_size)(scored.token) && below(max_top_logprobs + 1)(scored.num_alternatives) &&
               scored.first_score == before.first_score + 1 + before.num_alternatives;
    };
    std::int32_t num_masks = 0;
    const auto has_next_mask = [&](const SamplingRow& row) {
        return row.mask < 0 || row.mask == num_masks++;
    };
    if (!fits || !std::ranges::all_of(batch.sampling, has_next_mask) || num_masks != batch.num_masks ||
        !std::ranges::all_of(batch.token_ids, below(vocab_size)) ||
        !std::ranges::all_of(batch.positions, below(capacity.max_model_len)) ||
        !std::ranges::all_of(batch.logits_rows, below(batch.num_tokens())) ||
        !std::ranges::all_of(batch.block_copies, is_copy) ||
        !std::ranges::all_of(batch.slot_mapping, below(capacity.num_blocks * kv_block_size)) ||
        !std::ranges::all_of(batch.context_lens, is_length) || batch.cu_seqlens_q.front() != 0 ||
        batch.cu_seqlens_q.back() != batch.num_tokens() ||
        !std::ranges::all_of(std::views::iota(std::size_t{0}, num_seqs), is_sequence) ||
        !std::ranges::all_of(std::views::iota(std::size_t{0}, batch.scored_tokens.size()), is_scored)) {
        throw std::logic_error("the batch is malformed or exceeds the backend's capacity");
    }
}

void check_masks(const ForwardBatch& batch, std::span<const std::uint32_t> masks, std::int32_t vocab_size) {
    const std::size_t words = mask_words(vocab_size);
    bool is_valid = masks.size() == count_of(batch.num_masks) * words;
    for (std::size_t begin = 0; is_valid && begin < masks.size(); begin += words) {
        const auto mask = masks.subspan(begin, words);
        is_valid = std::ranges::any_of(mask, [](std::uint32_t word) { return word != 0; });
    }
    if (!is_valid) throw std::logic_error("the masks are not those of the batch, or a mask is empty");
}

}  // namespace solard
