// A second sampler, written as simply as possible, which tests compare with the real one. It sorts
// everything, computes in double precision and allocates freely.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "inference/backend.hpp"
#include "inference/sampling/philox.hpp"

namespace solard::plain {

inline std::size_t index_of(TokenId token) {
    return static_cast<std::size_t>(token);
}

inline float within_range(float x) {
    constexpr float widest = std::numeric_limits<float>::max();
    return std::clamp(x, -widest, widest);
}

// Returns the logits after bias and penalties, computed in float as in the real sampler.
inline std::vector<float> changed_logits(std::vector<float> logits, const SamplingRow& row) {
    const auto known = [&](TokenId token) { return token >= 0 && index_of(token) < logits.size(); };
    for (const LogitBias& bias : row.logit_bias) {
        if (known(bias.token)) logits[index_of(bias.token)] += bias.bias;
    }
    const std::set<TokenId> seen(row.context.begin(), row.context.end());
    for (const TokenId token : seen) {
        if (!known(token)) continue;
        float& logit = logits[index_of(token)];
        const float r = row.params.repetition_penalty;
        logit = within_range(logit > 0 ? logit / r : logit * r);
    }
    std::map<TokenId, int> counts;
    for (std::size_t i = static_cast<std::size_t>(row.num_prompt_tokens); i < row.context.size(); ++i) {
        ++counts[row.context[i]];
    }
    for (const auto& [token, count] : counts) {
        if (!known(token)) continue;
        const float frequency = static_cast<float>(count) * row.params.frequency_penalty;
        float& logit = logits[index_of(token)];
        logit = within_range(logit - (frequency + row.params.presence_penalty));
    }
    return logits;
}

// Returns the tokens that are not banned, the likeliest first. If every token is banned, returns all tokens.
inline std::vector<TokenId> ranked(const std::vector<float>& logits, const SamplingRow& row) {
    const std::set<TokenId> banned(row.banned.begin(), row.banned.end());
    std::vector<TokenId> all(logits.size());
    std::iota(all.begin(), all.end(), 0);
    std::vector<TokenId> order;
    std::ranges::copy_if(all, std::back_inserter(order),
                         [&](TokenId token) { return !banned.contains(token); });
    if (order.empty()) order = all;
    std::ranges::stable_sort(order,
                             [&](TokenId a, TokenId b) { return logits[index_of(a)] > logits[index_of(b)]; });
    return order;
}

// The tokens that a row may draw, the likeliest first, with their probabilities. Every other token has
// probability 0.
struct Distribution {
    std::vector<TokenId> tokens;
    std::vector<double> probabilities;

    std::vector<double> over(std::size_t vocab) const {
        std::vector<double> all(vocab);
        for (std::size_t i = 0; i < tokens.size(); ++i) all[index_of(tokens[i])] = probabilities[i];
        return all;
    }
    void keep(std::size_t count) {
        tokens.resize(count);
        probabilities.resize(count);
        const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
        for (double& p : probabilities) p /= sum;
    }
};

inline Distribution distribution(const std::vector<float>& raw, const SamplingRow& row) {
    const std::vector<float> logits = changed_logits(raw, row);
    const SamplingParams& params = row.params;
    Distribution result{ranked(logits, row), {}};
    const auto at = [&](std::size_t i) { return double{logits[index_of(result.tokens[i])]}; };
    if (params.temperature == 0) {
        result.probabilities = {1.0};
        result.tokens.resize(1);
        return result;
    }
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
        result.probabilities.push_back(std::exp((at(i) - at(0)) / params.temperature));
    }
    result.keep(result.tokens.size());
    if (params.top_k > 0) result.keep(std::min(result.tokens.size(), index_of(params.top_k)));
    if (params.top_p < 1) {
        std::size_t count = 0;
        double mass = 0;
        while (count < result.tokens.size() && mass < params.top_p) mass += result.probabilities[count++];
        result.keep(count);
    }
    const double least = params.min_p * result.probabilities[0];
    result.keep(static_cast<std::size_t>(
        std::ranges::count_if(result.probabilities, [&](double p) { return p >= least; })));
    return result;
}

inline double noise(const SamplingRow& row, TokenId token) {
    const std::uint64_t seed = row.params.seed;
    const auto words = philox4x32_10(
        {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(row.position), row.params.choice, 0},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    return -std::log(-std::log((words[0] + 0.5) / 4294967296.0));
}

inline TokenId choose(const std::vector<float>& raw, const SamplingRow& row) {
    const Distribution allowed = distribution(raw, row);
    if (row.params.temperature == 0) return allowed.tokens[0];
    const std::vector<float> logits = changed_logits(raw, row);
    double best_score = -std::numeric_limits<double>::infinity();
    TokenId best = -1;
    for (const TokenId token : allowed.tokens) {
        const double score = double{logits[index_of(token)]} / row.params.temperature + noise(row, token);
        if (score > best_score || (score == best_score && token < best)) {
            best_score = score;
            best = token;
        }
    }
    return best;
}

inline std::vector<double> log_softmax(const std::vector<float>& logits) {
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit - largest);
    std::vector<double> result;
    for (const float logit : logits) result.push_back(logit - largest - std::log(sum));
    return result;
}

}  // namespace solard::plain
