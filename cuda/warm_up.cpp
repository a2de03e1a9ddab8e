#include "cuda/warm_up.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "cuda/kernels.hpp"
#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

// Returns a batch that computes the tokens of one sequence from index `begin` to the end and samples the next
// token. The KV of the sequence lies in the first KV blocks.
ForwardBatch step(std::span<const TokenId> tokens, std::int32_t begin) {
    const auto end = static_cast<std::int32_t>(tokens.size());
    ForwardBatch batch;
    batch.token_ids.assign(tokens.begin() + begin, tokens.end());
    batch.positions.resize(batch.token_ids.size());
    std::iota(batch.positions.begin(), batch.positions.end(), begin);
    batch.slot_mapping = batch.positions;
    batch.cu_seqlens_q = {0, end - begin};
    batch.context_lens = {end};
    batch.block_table_stride = divide_up(end, kv_block_size);
    batch.block_tables.resize(count_of(batch.block_table_stride));
    std::iota(batch.block_tables.begin(), batch.block_tables.end(), 0);
    batch.logits_rows = {end - begin - 1};
    SamplingRow row{.params = {.presence_penalty = 1},
                    .sequence = std::numeric_limits<std::uint64_t>::max(),
                    .position = end,
                    .context = tokens,
                    .num_prompt_tokens = end};
    batch.sampling = {row};
    return batch;
}

}  // namespace

void warm_up(Backend& backend, std::int32_t vocab_size) {
    const BackendCapacity capacity = backend.capacity();
    // If the capacity allows, the prompt has more tokens than a decode tile has rows. The prompt then goes to
    // the prefill kernel, however many heads share a KV head.
    const std::int32_t length =
        std::min({decode_tile_rows + 1, capacity.max_tokens_per_step, capacity.max_model_len});
    std::vector<TokenId> tokens(count_of(length), vocab_size - 1);
    StepResults results;
    ForwardBatch prompt = step(tokens, 0);
    prompt.scored_tokens = {{.num_alternatives = 1}};
    if (capacity.num_blocks > 1) prompt.block_copies = {{capacity.num_blocks - 1, 0}};
    backend.submit(prompt);
    backend.collect(results);
    if (length < capacity.max_model_len) tokens.push_back(0);
    const auto last = static_cast<std::int32_t>(tokens.size()) - 1;
    backend.submit(step(tokens, last));
    backend.collect(results);
}

}  // namespace solard::cuda
