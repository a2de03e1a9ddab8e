// Starts kernels. A kernel's parameters are one struct, passed by value. cuda_runtime.h, which declares
// cudaLaunchKernelEx, is not included here because nvcc includes it by itself.
#pragma once

#include <cstddef>

#include "cuda/device.hpp"

namespace solard::cuda {

struct LaunchShape {
    dim3 grid;
    dim3 block;
    std::size_t dynamic_shared_bytes = 0;
};

// The shared memory that a block may use without cudaFuncSetAttribute.
inline constexpr std::size_t default_shared_bytes = std::size_t{48} * 1024;

// Allows blocks of the kernel to use `bytes` of shared memory. The driver is called only if no earlier launch
// needed this many bytes. The setting is valid for the whole process. All kernels are started by the same
// thread, so no lock is needed.
template <auto kernel>
void allow_shared_bytes(std::size_t bytes) {
    static std::size_t allowed = default_shared_bytes;
    if (bytes <= allowed) return;
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
    allowed = bytes;
}

// Enqueues the kernel. Throws DeviceError if the launch is refused. An error while the kernel runs is thrown
// later, by the call that waits for the stream.
template <auto kernel, class Params>
void launch(const LaunchShape& shape, cudaStream_t stream, const Params& params) {
    allow_shared_bytes<kernel>(shape.dynamic_shared_bytes);
    cudaLaunchConfig_t config{};
    config.gridDim = shape.grid;
    config.blockDim = shape.block;
    config.dynamicSmemBytes = shape.dynamic_shared_bytes;
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, params));
    check(cudaGetLastError());
}

}  // namespace solard::cuda
