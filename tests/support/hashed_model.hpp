// Llama models whose weights are integer hashes: the same in C++ here and in Python in
// tests/golden/make_golden.py, so that no weights need to be stored beside the golden logits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "inference/model/tensors.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {

// Writes config.json and the weights, with an index where there are several shards; returns the folder's
// path. Every value is exact in bf16 and in fp16:
//   hash(i) = mix(i * 0x9E3779B1 + FNV-1a(tensor name)), its top byte as an integer v in [-128, 128)
//   norms: 1 + (v mod 32) / 64; embedding: v / 128; matrices: v / 2^(6 + ceil(ceil(log2(in_features)) / 2))
// which keeps activations near 1. mix(x) = x ^ x >> 16, times 0x85EBCA6B, then x ^ x >> 13, modulo 2^32.
const std::filesystem::path& write_hashed_model(const ModelFolder& folder, const ModelConfig& config,
                                                DType dtype, int num_shards = 1);

// A folder as the server opens it. The tensors point into the source.
struct LoadedModel {
    explicit LoadedModel(const std::filesystem::path& folder);
    ModelConfig config;
    WeightSource source;
    ModelTensors tensors;
};

// The small models of the tests; sizes that fill no panel, a head_dim that is not hidden / heads.
ModelConfig small_gqa_config();
ModelConfig small_mha_config();

}  // namespace solard
