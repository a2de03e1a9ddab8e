// Names the tensors that a Llama model consists of and checks them against its configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "inference/error.hpp"
#include "inference/model/config.hpp"
#include "inference/model/safetensors.hpp"

namespace solard {

// The tensors of one layer. Shapes are those on disk: row-major, [out_features, in_features].
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

// The tensors of a whole model, as pointers into the WeightSource from which they were resolved.
struct ModelTensors {
    const TensorInfo* embedding;  // [vocab, hidden]
    std::vector<LayerTensors> layers;
    const TensorInfo* final_norm;  // [hidden]
    const TensorInfo* lm_head;     // [vocab, hidden]; == embedding if they are tied
    DType dtype;                   // of most elements of the layers' matrices on disk
    std::uint64_t num_bytes;       // of all these tensors on disk
};

// Finds every tensor that the configuration requires and checks its shape. The tensors may have different
// types; the backends convert them. If the configuration ties lm_head to the embedding, but the files hold an
// lm_head too, reads both: if their values are equal, they are tied, and otherwise the stored lm_head is
// used, as transformers 5 does. Errors: bad_model if a tensor is missing or cannot be read, a shape is wrong,
// or biases are present. The message names the file, the tensor and what was expected.
result<ModelTensors> resolve_tensors(const WeightSource& source, const ModelConfig& config);

// Is called on the loading thread with the number of bytes of tensors read so far and the total number.
using OnLoadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

}  // namespace solard
