// The forward pass on an NVIDIA GPU. cuBLASLt computes the large matrix products; the kernels of this folder
// compute everything else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "cuda/cuda_weights.hpp"
#include "inference/backend.hpp"

namespace solard::cuda {

struct CudaBackendOptions {
    DType compute_type = DType::bf16;  // bf16 or fp16, for weights, activations and KV
    double gpu_memory_utilization = 0.9;
    std::int32_t max_model_len = 4096;
    std::int32_t max_tokens_per_step = 512;
    std::int32_t max_seqs_per_step = 64;
    // If true, the tokens of a request do not depend on which other requests run at the same time, or on how
    // its prompt is divided into chunks. In this mode, all products with a matrix use the same algorithm, and
    // one kernel computes all attention. This mode is slower.
    bool deterministic = false;
    std::int32_t max_blocks = 0;  // for tests: a limit on the KV blocks; 0 = all that fit
    OnLoadProgress on_load_progress = {};
};

class CudaBackend final : public Backend {
  public:
    // Creates the device context on the calling thread, reads all weights, allocates all memory and runs two
    // steps to warm up. `source` is not needed afterwards. Throws ErrorException: bad_model if the kernels do
    // not support the model's shape, a file cannot be read or a weight is not finite in the compute type;
    // bad_configuration if the weights and the KV of one sequence of max_model_len tokens do not fit. Throws
    // DeviceError if a call to CUDA fails.
    CudaBackend(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
                const CublasLt& library, const CudaBackendOptions& options);
    // Like the first constructor, but with weights that are already on the device, in options.compute_type.
    CudaBackend(DeviceWeights weights, const ModelConfig& config, const CublasLt& library,
                const CudaBackendOptions& options);
    ~CudaBackend() override;

    BackendCapacity capacity() const override;
    std::string description() const override;
    void submit(const ForwardBatch& batch) override;
    void sample(std::span<const std::uint32_t> masks) override;
    void collect(StepResults& results) override;

    // For tests: returns the logits of the last step whose results collect() has returned, [num_rows, vocab].
    std::vector<float> logits() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard::cuda
