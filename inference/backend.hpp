// The contract between the engine and whatever runs the forward pass.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "inference/model/config.hpp"
#include "inference/sampling_params.hpp"

namespace solard {

inline constexpr std::int32_t kv_block_size = 16;  // tokens of one KV block

// One logits row to sample from. The spans point into the sequence and stay valid until collect() returned.
struct SamplingRow {
    SamplingParams params;
    // The same for all rows of one sequence in every step, and never used again by another: whoever keeps
    // state of a sequence finds it by this.
    std::uint64_t sequence = 0;
    std::int32_t position = 0;  // of the token being chosen: index in its sequence, prompt included
    std::span<const TokenId> context = {};       // [position]: prompt, answer so far, drafts before this row
    std::int32_t num_prompt_tokens = 0;          // of `context`, from its front
    std::span<const LogitBias> logit_bias = {};  // each token once
    std::span<const TokenId> banned = {};        // tokens that must not be chosen
};

// KV of a whole block, all layers.
struct BlockCopy {
    std::int32_t source = 0;
    std::int32_t destination = 0;
};

// One step's work, flat: `num_seqs` sequences, each with a run of new tokens (a prefill chunk or one decode
// token). Owned by the scheduler and reused: cleared, never freed, so that a step allocates nothing.
struct ForwardBatch {
    std::vector<TokenId> token_ids;          // [num_tokens]
    std::vector<std::int32_t> positions;     // [num_tokens], from 0 in each sequence
    std::vector<std::int32_t> slot_mapping;  // [num_tokens], KV slot: block id * kv_block_size + offset
    std::vector<std::int32_t>
        cu_seqlens_q;  // [num_seqs + 1], first token of each sequence; last = num_tokens
    std::vector<std::int32_t>
        context_lens;  // [num_seqs], tokens visible to the last new token, itself included
    std::vector<std::int32_t> block_tables;  // [num_seqs, block_table_stride], block ids; unused tail is -1
    // [num_rows], indices into token_ids whose logits are wanted: ascending; one may be named several times
    // (choices that share a prompt), and a sequence may have several (drafts to verify).
    std::vector<std::int32_t> logits_rows;
    std::vector<SamplingRow> sampling;  // [num_rows]
    // Done before the step writes anything; in any order, for no destination is also a source or named twice.
    std::vector<BlockCopy> block_copies;
    std::int32_t block_table_stride = 0;

    std::int32_t num_tokens() const { return static_cast<std::int32_t>(token_ids.size()); }
    std::int32_t num_seqs() const { return static_cast<std::int32_t>(context_lens.size()); }
    std::int32_t num_rows() const { return static_cast<std::int32_t>(logits_rows.size()); }
    void clear();
};

struct TokenLogprob {
    TokenId token = -1;
    float logprob = 0;  // of the model's own distribution: no bias, penalty, temperature or cut applied
};

struct SampledToken {
    TokenId token = -1;
    bool finite = true;  // false: the row held NaN or Inf and `token` means nothing
    float logprob = 0;   // as TokenLogprob; only where params.num_logprobs >= 0
};

struct StepResults {
    std::vector<SampledToken> rows;  // [num_rows], in the order of ForwardBatch::logits_rows
    // [num_rows, max_top_logprobs], likeliest first, the first num_logprobs of each row; empty if no row
    // asks.
    std::vector<TokenLogprob> top_logprobs;
};

struct BackendCapacity {
    std::int32_t num_blocks = 0;           // KV blocks of kv_block_size tokens
    std::int32_t max_tokens_per_step = 0;  // rows of activations taken at start-up
    std::int32_t max_seqs_per_step = 0;    // sequences, and logits rows
    std::int32_t max_model_len = 0;        // tokens of one sequence
};

// Throws std::logic_error where a batch would make a backend read or write out of bounds; the scheduler
// promises that none does.
void check_batch(const ForwardBatch& batch, const BackendCapacity& capacity, std::int32_t vocab_size);

// Called by the engine thread only, which also creates and destroys it. All memory is reserved in the
// constructor; submit() and collect() allocate nothing. A thrown exception means that the backend is unusable
// from then on.
class Backend {
  public:
    virtual ~Backend() = default;
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    virtual BackendCapacity capacity() const = 0;
    // What runs, for the banner and /v1/metadata, such as "cpu (AVX2, 2 threads)".
    virtual std::string description() const = 0;

    // Starts one step; the batch may be reused once collect() returned. At most one step is in flight.
    virtual void submit(const ForwardBatch& batch) = 0;
    // Waits for the step in flight and fills `results` (resized to its rows).
    virtual void collect(StepResults& results) = 0;

    // Ticked at least once per layer; readable from any thread. A watchdog sees progress here.
    const std::atomic<std::uint64_t>& progress() const { return progress_; }

  protected:
    std::atomic<std::uint64_t> progress_{0};
};

}  // namespace solard
