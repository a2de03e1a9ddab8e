// How a kernel starts: its parameters are one struct by value, its checks are here.
#pragma once

#include <cstddef>

#include "cuda/device.hpp"

namespace solard::cuda {

struct LaunchShape {
    dim3 grid;
    dim3 block;
    std::size_t dynamic_shared_bytes = 0;
};

// What a block may use without asking.
inline constexpr std::size_t default_shared_bytes = std::size_t{48} * 1024;

// Lets blocks of the kernel use that much shared memory. The driver is asked only for more than any launch
// before needed. What it is told holds for the process: one thread starts kernels.
template <auto kernel>
void allow_shared_bytes(std::size_t bytes) {
    static std::size_t allowed = default_shared_bytes;
    if (bytes <= allowed) return;
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
    allowed = bytes;
}

// Enqueues the kernel. Throws DeviceError when the launch itself is refused; what goes wrong while it runs is
// reported by whoever waits for the stream.
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
