#include "server/backends.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/engine/self_test.hpp"
#include "server/observe/log.hpp"
#ifdef SOLARD_HAS_CUDA
#include "cuda/cuda_backend.hpp"
#include "cuda/device_probe.hpp"
#endif

namespace solard::server {
namespace {

DType compute_type(const AppConfig& config, DType on_disk) {
    if (config.dtype == "bf16") return DType::bf16;
    if (config.dtype == "fp16") return DType::fp16;
    return on_disk == DType::fp16 ? DType::fp16 : DType::bf16;
}

int num_threads(const AppConfig& config) {
    if (config.threads != 0) return static_cast<int>(config.threads);
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

// Fills in the members which the options of both backends have.
template <class Options>
Options make_options(const AppConfig& config, const Checkpoint& checkpoint, std::int32_t context_length,
                     const OnLoadProgress& on_load_progress) {
    Options options;
    options.compute_type = compute_type(config, checkpoint.tensors.dtype);
    options.max_model_len = context_length;
    options.max_seqs_per_step = static_cast<std::int32_t>(config.max_num_seqs);
    if (config.max_num_batched_tokens != 0)
        options.max_tokens_per_step = static_cast<std::int32_t>(config.max_num_batched_tokens);
    options.on_load_progress = on_load_progress;
    return options;
}

// Loads the weights.
std::unique_ptr<Backend> load_backend(std::string_view device, const AppConfig& config,
                                      const Checkpoint& checkpoint, std::int32_t context_length,
                                      const OnLoadProgress& on_load_progress) {
#ifdef SOLARD_HAS_CUDA
    if (device == "cuda") {
        auto options =
            make_options<cuda::CudaBackendOptions>(config, checkpoint, context_length, on_load_progress);
        options.gpu_memory_utilization = config.gpu_memory_utilization;
        options.deterministic = config.deterministic;
        const cuda::CublasLt library = cuda::CublasLt::open(config.cublaslt).value();
        return std::make_unique<cuda::CudaBackend>(checkpoint.weights, checkpoint.tensors, checkpoint.config,
                                                   library, options);
    }
#endif
    if (device != "cpu") throw std::logic_error("a device which this build lacks was chosen");
    auto options = make_options<CpuBackendOptions>(config, checkpoint, context_length, on_load_progress);
    options.num_threads = num_threads(config);
    options.kv_cache_bytes = static_cast<std::size_t>(config.kv_cache_memory);
    return std::make_unique<CpuBackend>(checkpoint.weights, checkpoint.tensors, checkpoint.config, options);
}

}  // namespace

CudaSupport probe_cuda([[maybe_unused]] NvidiaPresence nvidia) {
    CudaSupport support;
#ifdef SOLARD_HAS_CUDA
    support.built = true;
    if (!nvidia.driver) return support;
    const cuda::DeviceProbe probe = cuda::probe_devices();
    support.error = probe.error;
    for (const cuda::DeviceFacts& facts : probe.devices) {
        support.devices.push_back({facts.name, facts.compute_major, facts.compute_minor, facts.memory_bytes});
    }
#endif
    return support;
}

std::unique_ptr<Backend> make_backend(std::string_view device, const AppConfig& config,
                                      const Checkpoint& checkpoint, std::int32_t context_length,
                                      const OnLoadProgress& on_load_progress) {
    auto backend = load_backend(device, config, checkpoint, context_length, on_load_progress);
    const auto begin = std::chrono::steady_clock::now();
    self_test(*backend, checkpoint.config.bos_token_id);
    const auto time =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    log(LogLevel::info, "the self-test of the model passed in " + std::to_string(time.count()) + " ms");
    return backend;
}

}  // namespace solard::server
