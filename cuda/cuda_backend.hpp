// The forward pass on an NVIDIA GPU: cuBLASLt for the large products, our own kernels for everything else.
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
    DType compute_type = DType::bf16;  // bf16 or fp16: of weights, activations and KV
    double gpu_memory_utilization = 0.9;
    std::int32_t max_model_len = 4096;
    std::int32_t max_tokens_per_step = 512;
    std::int32_t max_seqs_per_step = 64;
    // The same request gives the same tokens whatever runs beside it and however its prompt was cut: one
    // product algorithm per matrix, one attention kernel. Slower.
    bool deterministic = false;
    std::int32_t max_blocks = 0;  // tests: fewer KV blocks than fit; 0 = all that fit
    LoadProgress on_load_progress = {};
};

class CudaBackend final : public Backend {
  public:
    // Creates the device context on the calling thread, reads all weights, takes all memory and runs two
    // steps to warm up; `source` is not needed afterwards. Throws ErrorException (bad_model: a shape that the
    // kernels lack, or a file that cannot be read; bad_configuration: no room for one sequence of
    // max_model_len), DeviceError.
    CudaBackend(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
                const CublasLt& library, const CudaBackendOptions& options);
    // The same with weights that are on the device already, in options.compute_type.
    CudaBackend(DeviceWeights weights, const ModelConfig& config, const CublasLt& library,
                const CudaBackendOptions& options);
    ~CudaBackend() override;

    BackendCapacity capacity() const override;
    std::string description() const override;
    void submit(const ForwardBatch& batch) override;
    void collect(StepResults& results) override;

    // Tests: logits of the last collected step, [num_rows, vocab].
    std::vector<float> logits() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard::cuda
