// Weights by chance, made where they are used.
#pragma once

#include "cuda/cuda_weights.hpp"
#include "inference/model/config.hpp"

namespace solard::bench {

// Norms are 1; every other matrix is uniform with a deviation of 1 / sqrt(in_features), so that activations
// stay near
// 1. The same numbers every time.
cuda::DeviceWeights make_random_weights(const ModelConfig& config, DType type);

}  // namespace solard::bench
