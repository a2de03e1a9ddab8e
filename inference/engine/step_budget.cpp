#include "inference/engine/step_budget.hpp"

#include <algorithm>
#include <numeric>

#include "inference/scheduling/sequence.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

constexpr std::int32_t granularity = 16;

// Makes a batch of one sequence. The sequence fills the whole context, and its KV lies in the first blocks.
// The batch computes the last `num_tokens` tokens.
ForwardBatch chunk_at_end_of_context(std::int32_t num_tokens, std::int32_t context) {
    const auto count = count_of(num_tokens);
    ForwardBatch batch;
    batch.token_ids.assign(count, 0);
    batch.positions.resize(count);
    std::iota(batch.positions.begin(), batch.positions.end(), context - num_tokens);
    batch.slot_mapping = batch.positions;
    batch.cu_seqlens_q = {0, num_tokens};
    batch.context_lens = {context};
    batch.block_table_stride = blocks_for(context);
    batch.block_tables.resize(count_of(batch.block_table_stride));
    std::iota(batch.block_tables.begin(), batch.block_tables.end(), 0);
    batch.logits_rows = {num_tokens - 1};
    batch.sampling.resize(1);
    batch.sampling.front().position = context;
    return batch;
}

}  // namespace

std::int32_t choose_step_budget(std::int32_t max_tokens, const StepTimer& time_step) {
    if (max_tokens <= granularity) return max_tokens;
    time_step(granularity);  // the first step is slower, because memory is cold
    std::int32_t tokens = granularity;
    std::chrono::nanoseconds elapsed = time_step(tokens);
    while (elapsed < max_step_time / 2 && tokens < max_tokens) {
        tokens = std::min(2 * tokens, max_tokens);
        elapsed = time_step(tokens);
    }
    const double per_token = static_cast<double>(elapsed.count()) / tokens;
    const double affordable =
        static_cast<double>(std::chrono::nanoseconds(max_step_time).count()) / per_token;
    const auto budget = static_cast<std::int32_t>(std::min(affordable, static_cast<double>(max_tokens)));
    return std::max(budget / granularity, 1) * granularity;
}

std::chrono::nanoseconds time_chunk(Backend& backend, std::int32_t num_tokens) {
    const ForwardBatch batch = chunk_at_end_of_context(num_tokens, backend.capacity().max_model_len);
    StepResults results;
    const auto begin = std::chrono::steady_clock::now();
    backend.submit(batch);
    backend.collect(results);
    return std::chrono::steady_clock::now() - begin;
}

}  // namespace solard
