#include "inference/backend.hpp"

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
    block_copies.clear();
}

}  // namespace solard
