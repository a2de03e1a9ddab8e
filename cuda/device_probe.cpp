#include "cuda/device_probe.hpp"

#include <cuda_runtime_api.h>

namespace solard::cuda {
namespace {

std::string version_text(int version) {  // major * 1000 + minor * 10
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string reason_of(cudaError_t status) {
    int driver = 0;
    if (status != cudaErrorInsufficientDriver || cudaDriverGetVersion(&driver) != cudaSuccess)
        return cudaGetErrorString(status);
    if (driver == 0)
        return "the driver's library libcuda.so.1 cannot be opened (a container must be given access to the "
               "GPU)";
    return "the driver supports CUDA " + version_text(driver) + ", but " + version_text(CUDART_VERSION) +
           " is needed: install a newer driver";
}

}  // namespace

DeviceProbe probe_devices() {
    DeviceProbe probe;
    int count = 0;
    if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
        probe.error = reason_of(status);
        return probe;
    }
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties{};
        if (const cudaError_t status = cudaGetDeviceProperties(&properties, i); status != cudaSuccess) {
            probe.error = reason_of(status);
            return probe;
        }
        probe.devices.push_back({.name = properties.name,
                                 .compute_major = properties.major,
                                 .compute_minor = properties.minor,
                                 .memory_bytes = properties.totalGlobalMem});
    }
    return probe;
}

}  // namespace solard::cuda
