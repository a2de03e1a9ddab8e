// Which tensors a Llama model is made of, checked against its configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "inference/error.hpp"
#include "inference/model/config.hpp"
#include "inference/model/safetensors.hpp"

namespace solard {

// Shapes are those on disk, row-major, [out_features, in_features].
struct LayerTensors {
    const TensorInfo* input_norm;  // [hidden]
    const TensorInfo* q_proj;      // [heads * head_dim, hidden]
    const TensorInfo* k_proj;      // [kv_heads * head_dim, hidden]
    const TensorInfo* v_proj;      // [kv_heads * head_dim, hidden]
    const TensorInfo* o_proj;      // [hidden, heads * head_dim]
    const TensorInfo* post_norm;   // [hidden]
    const TensorInfo* gate_proj;   // [intermediate, hidden]
    const TensorInfo* up_proj;     // [intermediate, hidden]
    const TensorInfo* down_proj;   // [hidden, intermediate]
};

// Pointers into the WeightSource that they were resolved from.
struct ModelTensors {
    const TensorInfo* embedding;  // [vocab, hidden]
    std::vector<LayerTensors> layers;
    const TensorInfo* final_norm;  // [hidden]
    const TensorInfo* lm_head;     // [vocab, hidden]; == embedding when tied
    DType dtype;                   // of every matrix on disk
    std::uint64_t num_bytes;       // on disk, of all of them
};

// Finds every tensor the configuration asks for and checks shape and dtype.
// Errors: bad_model naming file, tensor and what was expected (missing, wrong shape, mixed dtypes, biases
// present).
result<ModelTensors> resolve_tensors(const WeightSource& source, const ModelConfig& config);

// Called on the loading thread with the bytes of tensors read so far and in total.
using OnLoadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

}  // namespace solard
