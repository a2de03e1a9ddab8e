// Builds a ForwardBatch by hand from sequences with their tokens and blocks. The test decides which tokens of
// a sequence each step computes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/backend.hpp"

namespace solard {

struct TestSequence {
    std::vector<TokenId> tokens;
    std::vector<std::int32_t> blocks;  // must suffice for all tokens; in any order
};

// Appends tokens [begin, end) of the sequence and asks for the logits of tokens [first_logits, end).
// Before the first call, the test must set `batch.block_table_stride` to the length of the longest block
// table.
inline void add_chunk(ForwardBatch& batch, const TestSequence& sequence, std::size_t begin, std::size_t end,
                      std::size_t first_logits) {
    if (batch.cu_seqlens_q.empty()) batch.cu_seqlens_q.push_back(0);
    for (std::size_t i = begin; i < end; ++i) {
        const auto position = static_cast<std::int32_t>(i);
        if (i >= first_logits) {
            batch.logits_rows.push_back(batch.num_tokens());
            batch.sampling.push_back({.params = {.temperature = 0}, .position = position + 1});
        }
        batch.token_ids.push_back(sequence.tokens[i]);
        batch.positions.push_back(position);
        batch.slot_mapping.push_back(sequence.blocks[i / kv_block_size] * kv_block_size +
                                     position % kv_block_size);
    }
    batch.cu_seqlens_q.push_back(batch.num_tokens());
    batch.context_lens.push_back(static_cast<std::int32_t>(end));
    std::vector<std::int32_t> table = sequence.blocks;
    table.resize(static_cast<std::size_t>(batch.block_table_stride), -1);
    batch.block_tables.insert(batch.block_tables.end(), table.begin(), table.end());
}

// Asks for the scores of the tokens that follow the tokens [begin, end) of the sequence, which add_chunk()
// appended last.
inline void score_chunk(ForwardBatch& batch, const TestSequence& sequence, std::size_t begin, std::size_t end,
                        std::int32_t num_alternatives) {
    const std::int32_t first_row = batch.num_tokens() - static_cast<std::int32_t>(end - begin);
    for (std::size_t i = begin; i < end && i + 1 < sequence.tokens.size(); ++i) {
        batch.scored_tokens.push_back({.row = first_row + static_cast<std::int32_t>(i - begin),
                                       .token = sequence.tokens[i + 1],
                                       .num_alternatives = num_alternatives,
                                       .first_score = batch.num_scores()});
    }
}

}  // namespace solard
