// Measures each kernel and matrix product alone with a cold L2 cache, relative to the card's limits as
// measured in the same run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "inference/model/config.hpp"
#include "tests/bench/solard_bench/model_bench.hpp"
#include "tests/bench/solard_bench/report.hpp"

namespace solard::bench {

// Measures the speed of memory by copying, and the speed of arithmetic by multiplying large matrices of the
// given type. Every reported share is relative to these limits.
Limit measure_limits(const cuda::CublasLt& library, DType type, Report& report);

// For each n in `rows`, measures the kernels with n tokens. Attention is measured with one prompt of n tokens
// and with n sequences of `context` tokens.
void bench_kernels(const cuda::CublasLt& library, const ModelConfig& config, DType type, const Limit& limit,
                   const std::vector<std::int32_t>& rows, std::int32_t context, Report& report);

}  // namespace solard::bench
