#include "cuda/device_probe.hpp"

#include <cuda_runtime_api.h>

namespace solard::cuda {

DeviceProbe probe_devices() {
    DeviceProbe probe;
    int count = 0;
    if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
        probe.error = cudaGetErrorString(status);
        return probe;
    }
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties{};
        if (const cudaError_t status = cudaGetDeviceProperties(&properties, i); status != cudaSuccess) {
            probe.error = cudaGetErrorString(status);
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
