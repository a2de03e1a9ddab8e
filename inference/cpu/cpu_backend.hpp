// The forward pass on the CPU. Weights and cached keys and values have 16 bits. Sums are fp32 and are added
// up in a fixed order.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "inference/backend.hpp"
#include "inference/model/tensors.hpp"

namespace solard {

struct CpuBackendOptions {
    DType compute_type = DType::bf16;  // bf16 or fp16: type of weights, KV and GEMM inputs
    int num_threads = 1;               // includes the calling thread
    std::size_t kv_cache_bytes = std::size_t{1} << 30;
    std::int32_t max_model_len = 4096;
    std::int32_t max_tokens_per_step = 512;
    std::int32_t max_seqs_per_step = 64;
    bool force_portable = false;  // for tests: compute as on a CPU without AVX2
    OnLoadProgress on_load_progress = {};
};

class CpuBackend final : public Backend {
  public:
    // Reads and packs all weights; `source` is not needed afterwards. Throws ErrorException (bad_model) if a
    // file cannot be read or a weight is not finite in the compute type, std::bad_alloc if memory is short.
    CpuBackend(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
               const CpuBackendOptions& options);
    ~CpuBackend() override;

    BackendCapacity capacity() const override;
    std::string description() const override;
    void submit(const ForwardBatch& batch) override;
    void sample(std::span<const std::uint32_t> masks) override;
    void collect(StepResults& results) override;

    // Returns the logits of the last step's logits rows, [num_rows, vocab], valid until the next submit().
    std::span<const float> logits() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard
