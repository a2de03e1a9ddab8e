// Measures each kernel and product alone with a cold L2 cache, relative to the limits of the card in the same
// run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "inference/model/config.hpp"
#include "tests/bench/solard_bench/model_bench.hpp"
#include "tests/bench/solard_bench/report.hpp"

namespace solard::bench {

// Measures the speed of memory by copying, and that of arithmetic by multiplying large matrices of the type.
// Every reported share is relative to these limits.
Limit measure_limits(const cuda::CublasLt& library, DType type, Report& report);

// Measures steps with each number of tokens in `rows`. Attention is measured for one prompt of so many tokens
// and for so many sequences of `context` tokens.
void bench_kernels(const cuda::CublasLt& library, const ModelConfig& config, DType type, const Limit& limit,
                   const std::vector<std::int32_t>& rows, std::int32_t context, Report& report);

}  // namespace solard::bench
