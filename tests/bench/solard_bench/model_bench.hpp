// Whole steps of any backend: decode, prefill, and a queue of requests through the engine.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/backend.hpp"
#include "inference/model/config.hpp"
#include "inference/model/tokenizer.hpp"
#include "tests/bench/solard_bench/report.hpp"

namespace solard::bench {

// What a step cannot be faster than: bytes of weights and KV at `bytes_per_second`, operations at `flops`,
// both measured in the same run; 0 where nothing is known, and then no share is printed.
struct Limit {
    double bytes_per_second = 0;
    double flops = 0;
};

struct ModelBench {
    Backend& backend;
    const ModelConfig& config;
    Limit limit;
    Report& report;
    int rounds = 5;  // of which the median is printed

    // Steps of `batch` sequences that each have `context` tokens and get one more.
    void decode(const std::vector<std::int32_t>& batches, std::int32_t context);
    // Prompts of `lengths`, alone, cut as the engine cuts them.
    void prefill(const std::vector<std::int32_t>& lengths);
    // `num_requests` prompts of `input` random tokens, all queued, each answered with `output` tokens.
    void offline(const Tokenizer& tokenizer, std::int32_t input, std::int32_t output,
                 std::int32_t num_requests);
};

}  // namespace solard::bench
