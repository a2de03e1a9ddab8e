#include "cuda/device_scorer.hpp"

#include <algorithm>

#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

std::size_t max_scores(std::int32_t max_tokens) {
    return count_of(max_tokens) * (1 + count_of(max_top_logprobs));
}

}  // namespace

DeviceScorer::DeviceScorer(std::int32_t vocab, std::int32_t max_tokens)
    : vocab_(vocab),
      max_tokens_(max_tokens),
      scores_(max_scores(max_tokens)),
      host_scores_(max_scores(max_tokens)) {}

std::size_t DeviceScorer::staging_bytes() const {
    constexpr std::size_t num_pieces = 2;
    return count_of(max_tokens_) * (sizeof(ScoredToken) + sizeof(std::int32_t)) + num_pieces * 16;
}

void DeviceScorer::prepare(std::span<const ScoredToken> tokens, Staging& staging) {
    num_tokens_ = static_cast<std::int32_t>(tokens.size());
    num_scores_ = 0;
    if (!tokens.empty()) {
        num_scores_ = count_of(tokens.back().first_score + 1 + tokens.back().num_alternatives);
    }
    const std::span<std::int32_t> rows = staging.take<std::int32_t>(tokens.size());
    std::ranges::transform(tokens, rows.begin(), &ScoredToken::row);
    rows_ = staging.on_device(rows);
    tokens_ = staging.on_device(staging.copy(tokens));
}

void DeviceScorer::run(std::int32_t first, std::int32_t count, const float* logits, std::int64_t stride,
                       const Stream& stream) {
    score({.logits = logits,
           .tokens = tokens_ + first,
           .scores = scores_.data(),
           .stride = stride,
           .num_tokens = count,
           .vocab = vocab_},
          stream.get());
}

void DeviceScorer::copy_back(const Stream& stream) {
    if (num_scores_ == 0) return;
    check(cudaMemcpyAsync(host_scores_.data(), scores_.data(), num_scores_ * sizeof(RankedLogprob),
                          cudaMemcpyDeviceToHost, stream.get()));
}

void DeviceScorer::read(StepResults& results) const {
    // Reserves the maximum, so that a later, larger step allocates nothing.
    results.scores.reserve(host_scores_.size());
    results.scores.assign(host_scores_.data(), host_scores_.data() + num_scores_);
}

}  // namespace solard::cuda
