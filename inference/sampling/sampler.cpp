#include "inference/sampling/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "inference/sampling/exp_approx.hpp"
#include "inference/sampling/gumbel.hpp"
#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
// This value in counts_ marks a token whose penalties have been applied.
constexpr std::int32_t penalised = -1;

float apply_penalties(float logit, std::int32_t count_in_answer, const SamplingParams& params) {
    const float r = params.repetition_penalty;
    logit = logit > 0 ? logit / r : logit * r;
    if (count_in_answer > 0) {
        logit -= static_cast<float>(count_in_answer) * params.frequency_penalty + params.presence_penalty;
    }
    constexpr float widest = std::numeric_limits<float>::max();
    return std::clamp(logit, -widest, widest);
}

// Returns the sum of the probabilities of the tokens in `ranks`, times a constant that is the same for every
// set of tokens.
double probability_of(std::span<const TokenRank> ranks, float largest, float temperature) {
    double sum = 0;
    for (const TokenRank rank : ranks) sum += exp_approx((logit_of(rank) - largest) / temperature);
    return sum;
}

// Reorders `candidates` and returns the smallest set of likeliest tokens whose probabilities add up to `mass`
// or more. `mass` is multiplied by the same constant as the results of probability_of().
std::span<TokenRank> nucleus(std::span<TokenRank> candidates, double mass, float largest, float temperature) {
    // Tokens before `first` are in the nucleus, and tokens from `last` on are not.
    auto first = candidates.begin();
    auto last = candidates.end();
    double mass_before = 0;
    while (last - first > 1) {
        const auto middle = first + (last - first) / 2;
        std::nth_element(first, middle, last, std::greater{});
        const double mass_to_middle = mass_before + probability_of({first, middle}, largest, temperature);
        if (mass_to_middle >= mass) {
            last = middle;
        } else {
            first = middle;
            mass_before = mass_to_middle;
        }
    }
    return {candidates.begin(), last};
}

// Returns the smallest float that is not below `x`.
float float_at_least(double x) {
    const auto nearest = static_cast<float>(x);
    return nearest < x ? std::nextafter(nearest, infinity) : nearest;
}

// The log-probabilities of one row in the model's own distribution; `best` is a token with the largest logit.
class LogProbabilities {
  public:
    LogProbabilities(std::span<const float> logits, TokenId best)
        : logits_(logits),
          log_sum_(logits[index_of(best)] + std::log(exp_sum(logits, logits[index_of(best)], 1))) {}

    float of(TokenId token) const {
        const double logprob = logits_[index_of(token)] - log_sum_;
        return static_cast<float>(std::max(logprob, double{std::numeric_limits<float>::lowest()}));
    }

  private:
    std::span<const float> logits_;
    double log_sum_;
};

}  // namespace

Sampler::Sampler(std::int32_t vocab_size)
    : changed_(count_of(vocab_size)), counts_(count_of(vocab_size)), candidates_(count_of(vocab_size)) {}

SampledToken Sampler::sample(std::span<const float> logits, const SamplingRow& row,
                             std::span<TokenLogprob> top, std::span<const std::uint32_t> mask) {
    const RowMaximum maximum = find_maximum(logits);
    if (!maximum.finite) return {.token = -1, .finite = false};
    SampledToken sampled{.token = choose(logits, row, mask, maximum.token)};
    if (row.params.num_logprobs >= 0) {
        const LogProbabilities logprobs(logits, maximum.token);
        const auto ranks = likeliest(logits, std::min(count_of(row.params.num_logprobs), top.size()));
        std::ranges::transform(ranks, top.begin(), [&](TokenRank rank) {
            return TokenLogprob{token_of(rank), logprobs.of(token_of(rank))};
        });
        sampled.logprob = logprobs.of(sampled.token);
    }
    return sampled;
}

TokenId Sampler::choose(std::span<const float> logits, const SamplingRow& row,
                        std::span<const std::uint32_t> mask, TokenId best) {
    const SamplingParams& params = row.params;
    if (params.has_penalties() || !row.logit_bias.empty() || !row.banned.empty() || !mask.empty()) {
        change(logits, row, mask, row.banned);
        best = find_maximum(changed_).token;
        if (changed_[index_of(best)] == -infinity) {
            change(logits, row, mask, {});
            best = find_maximum(changed_).token;
        }
        logits = changed_;
    }
    if (params.temperature == 0) return best;
    const bool keeps_all = !has_top_k(params) && params.top_p >= 1 && params.min_p <= 0;
    if (keeps_all) return draw_from_all(logits, row, best);
    return draw_from(cut(logits, params, logits[index_of(best)]), logits, row, best);
}

void Sampler::change(std::span<const float> logits, const SamplingRow& row,
                     std::span<const std::uint32_t> mask, std::span<const TokenId> banned) {
    std::ranges::copy(logits, changed_.begin());
    for (const auto& [token, bias] : row.logit_bias) {
        if (in_vocabulary(token)) changed_[index_of(token)] += bias;
    }
    if (row.params.has_penalties()) penalise(row);
    // What excludes tokens is applied last, so that no other step brings an excluded token back.
    if (!mask.empty()) exclude_others(mask);
    for (const TokenId token : banned) {
        if (in_vocabulary(token)) changed_[index_of(token)] = -infinity;
    }
}

void Sampler::exclude_others(std::span<const std::uint32_t> mask) {
    for (std::size_t begin = 0; begin < changed_.size(); begin += mask_word_bits) {
        const auto logits =
            std::span(changed_).subspan(begin, std::min(mask_word_bits, changed_.size() - begin));
        std::uint32_t word = mask[begin / mask_word_bits];
        if (word == ~std::uint32_t{0}) continue;
        if (word == 0) {
            std::ranges::fill(logits, -infinity);
            continue;
        }
        for (float& logit : logits) {
            if ((word & 1U) == 0) logit = -infinity;
            word >>= 1U;
        }
    }
}

// Counts the tokens in one pass over the context, and clears the counts in a second pass. No counts are kept
// between steps, so preemption or a rejected draft cannot leave wrong counts.
void Sampler::penalise(const SamplingRow& row) {
    const auto prompt_length = count_of(std::max(row.num_prompt_tokens, 0));
    const auto answer = row.context.subspan(std::min(prompt_length, row.context.size()));
    // Only the repetition penalty needs the prompt, which may be long.
    const auto seen = row.params.repetition_penalty == 1 ? answer : row.context;
    for (const TokenId token : answer) {
        if (in_vocabulary(token)) ++counts_[index_of(token)];
    }
    for (const TokenId token : seen) {
        if (!in_vocabulary(token) || counts_[index_of(token)] == penalised) continue;
        changed_[index_of(token)] =
            apply_penalties(changed_[index_of(token)], counts_[index_of(token)], row.params);
        counts_[index_of(token)] = penalised;
    }
    for (const TokenId token : seen) {
        if (in_vocabulary(token)) counts_[index_of(token)] = 0;
    }
}

// top_k, top_p and min_p each keep the first tokens of one ranking, likeliest first. Therefore they may be
// applied in any order, as long as the mass for top_p is computed over all tokens that top_k keeps.
std::span<const TokenRank> Sampler::cut(std::span<const float> logits, const SamplingParams& params,
                                        float largest) {
    const double temperature = params.temperature;
    std::span<TokenRank> kept;
    if (has_top_k(params)) kept = find_likeliest(logits, count_of(params.top_k), candidates_);

    double bar = std::numeric_limits<float>::lowest();
    if (params.min_p > 0) bar = largest + temperature * std::log(double{params.min_p});
    double mass = 0;
    if (params.top_p < 1) {
        const double sum = has_top_k(params) ? probability_of(kept, largest, params.temperature)
                                             : exp_sum(logits, largest, params.temperature);
        mass = params.top_p * sum;
        // All tokens below `negligible` together have less than 1 - top_p of the sum. So none of them can be
        // in the nucleus. The factor 0.99 is a margin for rounding.
        const double negligible = 0.99 * (1.0 - params.top_p) * sum / static_cast<double>(logits.size());
        bar = std::max(bar, largest + temperature * std::log(negligible));
    }

    if (has_top_k(params)) {
        const auto dropped =
            std::ranges::remove_if(kept, [&](TokenRank rank) { return logit_of(rank) < bar; });
        kept = kept.first(kept.size() - dropped.size());
    } else {
        kept = find_at_least(logits, float_at_least(bar), candidates_);
    }
    return params.top_p < 1 ? nucleus(kept, mass, largest, params.temperature) : kept;
}

void Sampler::score(std::span<const float> logits, TokenId token, std::span<RankedLogprob> scores) {
    std::ranges::fill(scores, RankedLogprob{});
    scores.front().token = token;
    const RowMaximum maximum = find_maximum(logits);
    if (!maximum.finite) return;
    const LogProbabilities logprobs(logits, maximum.token);
    scores.front() = {token, logprobs.of(token), 1 + num_likelier(logits, token)};
    std::int32_t place = 0;
    for (const TokenRank rank : likeliest(logits, scores.size() - 1)) {
        ++place;
        scores[count_of(place)] = {token_of(rank), logprobs.of(token_of(rank)), place};
    }
}

std::span<const TokenRank> Sampler::likeliest(std::span<const float> logits, std::size_t count) {
    count = std::min(count, logits.size());
    if (count == 0) return {};
    const auto found = find_likeliest(logits, count, candidates_);
    std::ranges::sort(found, std::greater{});
    return found;
}

}  // namespace solard
