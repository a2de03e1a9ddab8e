#include "cuda/attention_plan.hpp"

#include <algorithm>

#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

std::int32_t end_key(const AttentionTile& tile) {
    return tile.first_position + tile.num_tokens;
}

}  // namespace

AttentionPlan::AttentionPlan(std::int32_t group, std::int32_t max_tokens, std::int32_t max_seqs,
                             std::int32_t max_model_len, bool one_kernel)
    : group_(group), one_kernel_(one_kernel) {
    const auto seqs = count_of(max_seqs);
    // The last tile of each sequence may be partly filled.
    prefill_tiles_.reserve(count_of(divide_up(max_tokens, prefill_tile_rows / group)) + seqs);
    if (one_kernel) return;
    decode_tiles_.reserve(seqs);
    splits_.reserve(seqs * count_of(divide_up(max_model_len, decode_split_keys)));
    first_split_.reserve(seqs + 1);
}

void AttentionPlan::make(const ForwardBatch& batch) {
    prefill_tiles_.clear();
    decode_tiles_.clear();
    splits_.clear();
    first_split_.clear();
    for (std::int32_t sequence = 0; sequence < batch.num_seqs(); ++sequence) {
        const auto index = count_of(sequence);
        const std::int32_t first = batch.cu_seqlens_q[index];
        const std::int32_t count = batch.cu_seqlens_q[index + 1] - first;
        const AttentionTile all{.sequence = sequence,
                                .first_token = first,
                                .num_tokens = count,
                                .first_position = batch.context_lens[index] - count};
        if (!one_kernel_ && count * group_ <= decode_tile_rows) {
            add_decode(all);
        } else {
            add_prefill(all);
        }
    }
    if (!decode_tiles_.empty()) first_split_.push_back(static_cast<std::int32_t>(splits_.size()));
    std::ranges::sort(prefill_tiles_, [](const AttentionTile& a, const AttentionTile& b) {
        return end_key(a) != end_key(b) ? end_key(a) > end_key(b) : a.first_token < b.first_token;
    });
}

void AttentionPlan::add_decode(const AttentionTile& tile) {
    const auto number = static_cast<std::int32_t>(decode_tiles_.size());
    decode_tiles_.push_back(tile);
    first_split_.push_back(static_cast<std::int32_t>(splits_.size()));
    for (std::int32_t key = 0; key < end_key(tile); key += decode_split_keys)
        splits_.push_back({number, key});
}

void AttentionPlan::add_prefill(AttentionTile tile) {
    const std::int32_t tokens_per_tile = prefill_tile_rows / group_;
    for (std::int32_t left = tile.num_tokens; left > 0; left -= tokens_per_tile) {
        tile.num_tokens = std::min(left, tokens_per_tile);
        prefill_tiles_.push_back(tile);
        tile.first_token += tile.num_tokens;
        tile.first_position += tile.num_tokens;
    }
}

}  // namespace solard::cuda
