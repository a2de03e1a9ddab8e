#include "inference/engine/self_test.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "inference/error.hpp"

namespace solard {
namespace {

constexpr std::int32_t num_tokens = 8;
static_assert(num_tokens <= kv_block_size);

// Makes a batch that computes one token and samples the next one. The sequence's KV lies in block 0.
ForwardBatch decode_step(TokenId token, std::int32_t position) {
    ForwardBatch batch;
    batch.token_ids = {token};
    batch.positions = {position};
    batch.slot_mapping = {position};
    batch.cu_seqlens_q = {0, 1};
    batch.context_lens = {position + 1};
    batch.block_tables = {0};
    batch.block_table_stride = 1;
    batch.logits_rows = {0};
    // No request has this number, so the backend finds no state of this sequence later.
    batch.sampling = {{.params = {.temperature = 0},
                       .sequence = std::numeric_limits<std::uint64_t>::max(),
                       .position = position + 1}};
    return batch;
}

std::vector<TokenId> generate(Backend& backend, TokenId token) {
    const std::int32_t count = std::min(num_tokens, backend.capacity().max_model_len);
    std::vector<TokenId> tokens;
    StepResults results;
    for (std::int32_t position = 0; position < count; ++position) {
        const ForwardBatch batch = decode_step(token, position);
        backend.submit(batch);
        backend.collect(results);
        if (!results.rows.front().finite) {
            throw ErrorException({errc::bad_model,
                                  "the self-test failed: the model's logits are not finite; "
                                  "its weights are damaged, or --dtype does not suit it"});
        }
        token = results.rows.front().token;
        tokens.push_back(token);
    }
    return tokens;
}

}  // namespace

void self_test(Backend& backend, TokenId prompt) {
    const std::vector<TokenId> first = generate(backend, prompt);
    if (generate(backend, prompt) == first) return;
    throw ErrorException({errc::bad_model,
                          "the self-test failed: the model generated different tokens in two equal runs; the "
                          "device or its memory is faulty"});
}

}  // namespace solard
