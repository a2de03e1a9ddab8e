// Measures whole steps of any backend: decode, prefill, and a queue of requests through the engine.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/backend.hpp"
#include "inference/model/config.hpp"
#include "inference/model/tokenizer.hpp"
#include "tests/bench/solard_bench/report.hpp"

namespace solard::bench {

// The limits of the device: it reads at most `bytes_per_second` and computes at most `flops` operations per
// second. Both are measured in the same run. A value of 0 means that the limit is unknown; then no share is
// printed.
struct Limit {
    double bytes_per_second = 0;
    double flops = 0;
};

struct ModelBench {
    Backend& backend;
    const ModelConfig& config;
    Limit limit;
    Report& report;
    int rounds = 5;  // number of measurements whose median is printed

    // Measures decode steps with each number of sequences in `batches`. Each sequence has `context` tokens
    // and gets one more token.
    void decode(const std::vector<std::int32_t>& batches, std::int32_t context);
    // Measures one prompt of each length in `lengths`. The prompt is divided into chunks as in the engine.
    void prefill(const std::vector<std::int32_t>& lengths);
    // Measures `num_requests` queued prompts of `input` random tokens, each answered with `output` tokens.
    void offline(const Tokenizer& tokenizer, std::int32_t input, std::int32_t output,
                 std::int32_t num_requests);
};

}  // namespace solard::bench
