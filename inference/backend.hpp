// The contract between the engine and the backend, which runs the forward pass.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "inference/sampling_row.hpp"
#include "inference/token_id.hpp"

namespace solard {

inline constexpr std::int32_t kv_block_size = 16;  // tokens of one KV block

// A copy of the KV of one whole block, in all layers.
struct BlockCopy {
    std::int32_t source = 0;
    std::int32_t destination = 0;
};

// A token of a prompt whose log-probability is wanted. The backend looks it up in the logits of the token
// before it in the sequence.
struct ScoredToken {
    std::int32_t row = 0;  // index into ForwardBatch::token_ids of the token before it
    TokenId token = 0;
    std::int32_t num_alternatives = 0;  // how many of the likeliest tokens are wanted, [0, max_top_logprobs]
    std::int32_t first_score = 0;       // index of its own entry in StepResults::scores
};

// The work of one step in flat arrays: `num_seqs` sequences, each with one or more new tokens (a prefill
// chunk, or one decode token and its drafts). The scheduler owns the batch and reuses it. The arrays are
// cleared but never freed, so that a step allocates nothing.
struct ForwardBatch {
    std::vector<TokenId> token_ids;          // [num_tokens]
    std::vector<std::int32_t> positions;     // [num_tokens], from 0 in each sequence
    std::vector<std::int32_t> slot_mapping;  // [num_tokens], KV slot: block id * kv_block_size + offset
    // [num_seqs + 1], the index of the first token of each sequence; the last entry is num_tokens.
    std::vector<std::int32_t> cu_seqlens_q;
    // [num_seqs], the number of tokens that the last new token of the sequence attends to, including itself.
    std::vector<std::int32_t> context_lens;
    std::vector<std::int32_t> block_tables;  // [num_seqs, block_table_stride], block ids; -1 after the last
    // [num_rows], the ascending indices (into token_ids) of the tokens whose logits are wanted. An index
    // occurs several times if several choices share a prompt, and a sequence has several indices if it has
    // drafts to verify.
    std::vector<std::int32_t> logits_rows;
    std::vector<SamplingRow> sampling;  // [num_rows]
    // At most one for each token, with ascending rows. They are not sampled and do not count as logits rows:
    // the backend computes their logits slice by slice, as many rows at a time as it has room for.
    std::vector<ScoredToken> scored_tokens;
    // These copies are made before the step writes anything. No block may be both a source and a destination,
    // and no block may be a destination twice, so the order of the copies does not matter.
    std::vector<BlockCopy> block_copies;
    std::int32_t block_table_stride = 0;
    std::int32_t num_masks = 0;  // rows with a mask; these have the masks 0 to num_masks - 1, in this order

    std::int32_t num_tokens() const { return static_cast<std::int32_t>(token_ids.size()); }
    std::int32_t num_seqs() const { return static_cast<std::int32_t>(context_lens.size()); }
    std::int32_t num_rows() const { return static_cast<std::int32_t>(logits_rows.size()); }
    // Returns the number of entries of StepResults::scores.
    std::int32_t num_scores() const {
        return scored_tokens.empty()
                   ? 0
                   : scored_tokens.back().first_score + 1 + scored_tokens.back().num_alternatives;
    }
    void clear();
};

struct StepResults {
    std::vector<SampledToken> rows;  // [num_rows], in the order of ForwardBatch::logits_rows
    // [num_rows, max_top_logprobs]: each row begins with its num_logprobs likeliest tokens, likeliest first.
    // The list is empty if no row asks for log-probabilities.
    std::vector<TokenLogprob> top_logprobs;
    // [num_scores]: each scored token's own entry, followed by its alternatives, likeliest first. If the
    // vocabulary is smaller than the number of alternatives, the last of them have the token -1. If the row
    // of logits held NaN or infinity, the rank of all these entries is 0.
    std::vector<RankedLogprob> scores;
};

struct BackendCapacity {
    std::int32_t num_blocks = 0;           // KV blocks of kv_block_size tokens
    std::int32_t max_tokens_per_step = 0;  // limit on the tokens of one step; sets the size of activations
    std::int32_t max_seqs_per_step = 0;    // limit on the sequences of one step, and on its logits rows
    std::int32_t max_model_len = 0;        // limit on the tokens of one sequence
};

// Throws std::logic_error if the batch would make a backend read or write out of bounds. The scheduler never
// makes such a batch.
void check_batch(const ForwardBatch& batch, const BackendCapacity& capacity, std::int32_t vocab_size);
// Throws std::logic_error if these are not the masks of the batch: their number is wrong, or one is empty.
void check_masks(const ForwardBatch& batch, std::span<const std::uint32_t> masks, std::int32_t vocab_size);

// Runs the forward pass. Only the engine thread creates, calls and destroys a backend. The constructor
// reserves all memory; submit(), sample() and collect() allocate nothing. After an exception, the backend
// must not be used again.
class Backend {
  public:
    virtual ~Backend() = default;
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    virtual BackendCapacity capacity() const = 0;
    // Describes the backend for the banner and /v1/metadata, for example "cpu (AVX2, 2 threads)".
    virtual std::string description() const = 0;

    // Starts one step. Until collect() has returned, `batch` must not be changed and submit() must not be
    // called again.
    virtual void submit(const ForwardBatch& batch) = 0;
    // Goes on with a step whose rows have masks. It must be called between submit() and collect() if
    // batch.num_masks > 0, and not otherwise: until then the tokens are not chosen, so that the caller has
    // the time of the forward pass to compute the masks. `masks` is [num_masks, mask_words(vocab_size)] (see
    // token_mask.hpp), and is copied.
    virtual void sample(std::span<const std::uint32_t> masks) = 0;
    // Waits until the step in flight has ended, and stores the results of its logits rows and of its scored
    // tokens in `results`.
    virtual void collect(StepResults& results) = 0;

    // Returns a counter that grows at least once per layer, so that a watchdog can tell a slow step from a
    // hung one. Any thread may read the counter.
    const std::atomic<std::uint64_t>& progress() const { return progress_; }

  protected:
    std::atomic<std::uint64_t> progress_{0};
};

}  // namespace solard
