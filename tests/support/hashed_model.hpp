// Llama models whose weights are integer hashes. tests/golden/make_golden.py computes the same weights in
// Python, so that no weights need to be stored beside the golden logits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "inference/model/tensors.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {

// Writes config.json and the weights, with an index if there are several shards. Returns the folder's path.
// Every value is exact in bf16 and in fp16:
//   v of element i: the top byte of mix(i * 0x9E3779B1 + FNV-1a(tensor name)), as a signed integer
//   norms: 1 + (v % 32) / 64; embedding: v / 128; matrices: v / 2^(6 + ceil(ceil(log2(in_features)) / 2))
// The matrix lm_head.weight is multiplied by 2^head_shift. These scales keep activations near 1. mix(x)
// computes modulo 2^32: x ^= x >> 16, then x *= 0x85EBCA6B, then x ^= x >> 13. The operator % is that of C++,
// with the sign of v.
const std::filesystem::path& write_hashed_model(const ModelFolder& folder, const ModelConfig& config,
                                                DType dtype, int num_shards = 1, int head_shift = 0);

// A model folder, opened in the same way as the server opens it. `tensors` are views into `source`.
struct LoadedModel {
    explicit LoadedModel(const std::filesystem::path& folder);
    ModelConfig config;
    WeightSource source;
    ModelTensors tensors;
};

// Return the shapes of small models. In small_gqa_config(), some sizes are not multiples of the CPU kernels'
// panel width (16), and head_dim is not hidden_size / num_heads.
ModelConfig small_gqa_config();
ModelConfig small_mha_config();

}  // namespace solard
