#include "inference/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "inference/philox.hpp"

namespace solard {
namespace {

// The largest value gumbel_noise() can take: -log(-log(1 - 2^-33)), rounded up.
constexpr double max_gumbel_noise = 22.9;

double gumbel_noise(const SamplingRow& row, TokenId token) {
    const std::uint64_t seed = row.params.seed;
    const PhiloxCounter random = philox4x32_10(
        {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(row.position), row.params.choice, 0},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    const double uniform = (random[0] + 0.5) * 0x1p-32;  // in (0, 1)
    return -std::log(-std::log(uniform));
}

bool all_finite(std::span<const float> logits) {
    bool finite = true;
    for (const float logit : logits) finite &= std::abs(logit) <= std::numeric_limits<float>::max();
    return finite;
}

TokenId largest(std::span<const float> logits) {
    return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
}

// argmax over `kept` of logit / temperature + noise, the smallest id among equals. `best` is the token of the
// largest logit. Noise is bounded, so a token that cannot win any more never asks for its own.
TokenId draw(std::span<const float> logits, std::span<const TokenId> kept, const SamplingRow& row,
             TokenId best) {
    const float max_logit = logits[static_cast<std::size_t>(best)];
    double best_score = gumbel_noise(row, best);
    for (const TokenId token : kept) {
        const double scaled =
            static_cast<double>(logits[static_cast<std::size_t>(token)] - max_logit) / row.params.temperature;
        if (scaled + max_gumbel_noise < best_score) continue;
        const double score = scaled + gumbel_noise(row, token);
        if (score > best_score || (score == best_score && token < best)) {
            best_score = score;
            best = token;
        }
    }
    return best;
}

}  // namespace

Sampler::Sampler(std::int32_t vocab_size)
    : probabilities_(static_cast<std::size_t>(vocab_size)),
      candidates_(static_cast<std::size_t>(vocab_size)) {}

SampledToken Sampler::sample(std::span<const float> logits, const SamplingRow& row) {
    if (!all_finite(logits)) return {.token = -1, .finite = false};
    const TokenId best = largest(logits);
    if (row.params.temperature == 0) return {.token = best};
    return {.token = draw(logits, nucleus(logits, row.params), row, best)};
}

std::span<const TokenId> Sampler::nucleus(std::span<const float> logits, const SamplingParams& params) {
    std::iota(candidates_.begin(), candidates_.end(), 0);
    if (params.top_p >= 1) return candidates_;

    const float max_logit = *std::ranges::max_element(logits);
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        probabilities_[i] = std::exp((logits[i] - max_logit) / params.temperature);
        sum += probabilities_[i];
    }
    // All tokens below this share together hold less than 1 - top_p, so none of them can be in the nucleus.
    const double negligible = (1.0 - params.top_p) * sum / static_cast<double>(logits.size());
    const auto probability = [this](TokenId token) {
        return probabilities_[static_cast<std::size_t>(token)];
    };
    const auto begin = candidates_.begin();
    auto end =
        std::remove_if(begin, candidates_.end(), [&](TokenId t) { return probability(t) < negligible; });

    // By logit: two of them may round to one probability.
    const auto less_likely = [&](TokenId a, TokenId b) {
        const float logit_a = logits[static_cast<std::size_t>(a)];
        const float logit_b = logits[static_cast<std::size_t>(b)];
        return logit_a != logit_b ? logit_a < logit_b : a > b;
    };
    std::make_heap(begin, end, less_likely);
    const auto all = end;
    double kept = 0;
    while (end != begin && kept < params.top_p * sum) {
        std::pop_heap(begin, end, less_likely);  // the likeliest moves behind the heap
        --end;
        kept += probability(*end);
    }
    return {end, all};
}

}  // namespace solard
