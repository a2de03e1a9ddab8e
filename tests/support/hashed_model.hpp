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
//   hash(i) = mix(i * 0x9E3779B1 + FNV-1a(tensor name)), its top byte as an integer v in [-128, 128)
//   norms: 1 + (v mod 32) / 64; embedding: v / 128; matrices: v / 2^(6 + ceil(ceil(log2(in_features)) / 2))
// These scales keep activations near 1. mix(x) = x ^ x >> 16, times 0x85EBCA6B, then x ^ x >> 13, modulo
// 2^32.
const std::filesystem::path& write_hashed_model(const ModelFolder& folder, const ModelConfig& config,
                                                DType dtype, int num_shards = 1);

// A model folder, opened in the same way as by the server. `tensors` are views into `source`.
struct LoadedModel {
    explicit LoadedModel(const std::filesystem::path& folder);
    ModelConfig config;
    WeightSource source;
    ModelTensors tensors;
};

// Small models for the tests. The sizes of small_gqa_config() are no multiples of a panel, and its head_dim
// is not hidden_size / num_heads.
ModelConfig small_gqa_config();
ModelConfig small_mha_config();

}  // namespace solard
