// Random logits and sampling parameters for tests of samplers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "inference/backend.hpp"

namespace solard {

// A row with random parameters and all the data that it points to. Each parameter keeps its default in about
// half of the rows.
struct RandomRow {
    std::vector<float> logits;
    std::vector<TokenId> context;
    std::vector<LogitBias> biases;
    std::vector<TokenId> banned;
    SamplingRow row;

    static constexpr std::size_t vocabularies[] = {1, 2, 3, 17, 63, 64, 65, 256, 257, 700};

    explicit RandomRow(std::mt19937& random)
        : RandomRow(random, vocabularies[random() % std::size(vocabularies)]) {}
    RandomRow(std::mt19937& random, std::size_t vocab) : random_(random) {
        logits.resize(vocab);
        fill_logits();
        fill_parameters();
        fill_spans();
    }
    RandomRow(RandomRow&&) = default;  // no copies: the spans of a copy would point into the original

  private:
    bool coin() { return random_() % 2 == 0; }
    float uniform(float low, float high) {
        return low + (high - low) * static_cast<float>(random_() % 10'000) / 10'000;
    }
    TokenId any_token() {
        if (random_() % 50 == 0) return coin() ? -1 : std::numeric_limits<TokenId>::max();
        return static_cast<TokenId>(random_() % (logits.size() + 1));  // may be the last id plus one
    }

    void fill_logits() {
        const auto kind = random_() % 4;
        for (float& logit : logits) {
            if (kind == 0) logit = uniform(-4, 4);
            if (kind == 1) logit = static_cast<float>(random_() % 5) - 2;  // many equal logits
            if (kind == 2) logit = uniform(-100, 100);
            if (kind == 3) logit = coin() ? 0.0F : -0.0F;
        }
    }
    void fill_parameters() {
        SamplingParams& params = row.params;
        constexpr float temperatures[] = {0, 1e-6F, 0.3F, 1, 1, 1.7F, 2};
        params.temperature = temperatures[random_() % std::size(temperatures)];
        if (coin()) params.top_p = std::max(1e-6F, uniform(0, 1));
        if (coin()) params.min_p = coin() ? uniform(0, 0.2F) : uniform(0, 1);
        if (coin()) params.top_k = static_cast<std::int32_t>(random_() % (logits.size() + 3)) - 1;
        if (coin()) params.repetition_penalty = uniform(0.01F, 2);
        if (coin()) params.frequency_penalty = uniform(-2, 2);
        if (coin()) params.presence_penalty = uniform(-2, 2);
        params.seed = (std::uint64_t{random_()} << 32) | random_();
        params.choice = static_cast<std::uint32_t>(random_() % max_choices);
    }
    void fill_spans() {
        context.resize(random_() % 100);
        for (TokenId& token : context) token = any_token();
        if (coin()) {
            std::set<TokenId> biased;
            for (auto i = random_() % 20; i > 0; --i) biased.insert(any_token());
            for (const TokenId token : biased)
                biases.push_back({token, coin() ? uniform(-100, 100) : 100.0F});
        }
        if (coin()) {
            for (auto i = random_() % 20; i > 0; --i) banned.push_back(any_token());
        }
        row.position = static_cast<std::int32_t>(context.size());
        row.context = context;
        row.num_prompt_tokens = static_cast<std::int32_t>(random_() % (context.size() + 1));
        row.logit_bias = biases;
        row.banned = banned;
    }

    std::mt19937& random_;
};

}  // namespace solard
