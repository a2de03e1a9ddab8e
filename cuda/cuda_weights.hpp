// The weights of a Llama model on the device, in the compute type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/device.hpp"
#include "inference/model/tensors.hpp"

namespace solard::cuda {

// Matrices are row-major, [out_features, in_features]. Projections that read the same input are stored as one
// matrix.
struct DeviceLayer {
    const void* input_norm;  // [hidden]
    const void* qkv;         // [(heads + 2 kv_heads) * head_dim, hidden]
    const void* o;           // [hidden, heads * head_dim]
    const void* post_norm;   // [hidden]
    const void* gate_up;     // [2 * intermediate, hidden], all gate rows first
    const void* down;        // [hidden, intermediate]
};

struct DeviceWeights {
    DeviceBuffer<std::byte> memory;  // holds everything below
    const void* embedding = nullptr;
    std::vector<DeviceLayer> layers;
    const void* final_norm = nullptr;
    const void* lm_head = nullptr;  // == embedding if the model ties them
};

// Reads every tensor once, in order, through two pinned buffers: while one buffer is copied to the device,
// the other buffer is filled. Both together take 64 MiB of host memory. The device converts tensors of other
// types to the compute type. Throws ErrorException: bad_model if a file cannot be read or a weight is not
// finite in the compute type, bad_configuration if the weights do not fit in the device's free memory. Throws
// DeviceError if a call to CUDA fails.
DeviceWeights load_device_weights(const WeightSource& source, const ModelTensors& tensors, DType compute_type,
                                  const OnLoadProgress& on_progress);

}  // namespace solard::cuda
