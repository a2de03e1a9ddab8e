// The host's part of scoring on the device. It stages the tokens of a step, and copies all scores back in one
// copy.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device.hpp"
#include "cuda/scoring.hpp"
#include "cuda/staging.hpp"
#include "inference/backend.hpp"

namespace solard::cuda {

// In each step, call prepare(), the staging's upload(), run() for each slice of the tokens and copy_back(),
// in this order. Call read() after the stream has been synchronised. The constructor allocates all memory.
class DeviceScorer {
  public:
    // A step has at most `max_tokens` tokens to score.
    DeviceScorer(std::int32_t vocab, std::int32_t max_tokens);

    // Returns the largest number of bytes that prepare() takes from a Staging.
    std::size_t staging_bytes() const;

    void prepare(std::span<const ScoredToken> tokens, Staging& staging);
    std::int32_t num_tokens() const { return num_tokens_; }
    // Returns ScoredToken::row of each token, [num_tokens] on the device.
    const std::int32_t* rows() const { return rows_; }
    // Enqueues the kernel for `count` tokens from `first` on. `logits` is [count, stride] on the device.
    void run(std::int32_t first, std::int32_t count, const float* logits, std::int64_t stride,
             const Stream& stream);
    // Enqueues nothing if no token is scored.
    void copy_back(const Stream& stream);
    // Writes the scores of the last copy_back() to `results`.
    void read(StepResults& results) const;

  private:
    std::int32_t vocab_;
    std::int32_t max_tokens_;
    std::int32_t num_tokens_ = 0;
    std::size_t num_scores_ = 0;
    const std::int32_t* rows_ = nullptr;   // of the staged tokens, on the device
    const ScoredToken* tokens_ = nullptr;  // the staged tokens, on the device
    DeviceBuffer<RankedLogprob> scores_;   // [max_tokens * (1 + max_top_logprobs)]
    PinnedBuffer<RankedLogprob> host_scores_;
};

}  // namespace solard::cuda
