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
        return "libcuda.so.1, the driver's own library, cannot be opened (a container needs to be given the "
               "GPU)";
    return "the driver is for CUDA " + version_text(driver) + ", and " + version_text(CUDART_VERSION) +
           " is needed: install a newer one";
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
