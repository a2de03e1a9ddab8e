// Each kernel and product alone, with a cold L2 cache, beside what the card can do at most in the same run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "inference/model/config.hpp"
#include "tests/bench/solard_bench/model_bench.hpp"
#include "tests/bench/solard_bench/report.hpp"

namespace solard::bench {

// Copies memory and multiplies large matrices of the type: the limits that every share is of.
Limit measure_limits(const cuda::CublasLt& library, DType type, Report& report);

// For steps of each of `rows` tokens. Attention: prompts of that many tokens, and that many sequences of
// `context`.
void bench_kernels(const cuda::CublasLt& library, const ModelConfig& config, DType type, const Limit& limit,
                   const std::vector<std::int32_t>& rows, std::int32_t context, Report& report);

}  // namespace solard::bench
