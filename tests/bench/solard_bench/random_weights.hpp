// Random weights, generated on the device.
#pragma once

#include "cuda/cuda_weights.hpp"
#include "inference/model/config.hpp"

namespace solard::bench {

// Returns weights that are the same every time. Norms are 1, and the embedding is uniform in [-1, 1). Every
// other matrix is uniform with a standard deviation of 1 / sqrt(in_features), so that activations stay
// near 1.
cuda::DeviceWeights make_random_weights(const ModelConfig& config, DType type);

}  // namespace solard::bench
