// Launches kernels as work in a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace cuda_emulator {

// Appends a launch to the stream; the kernel runs when something waits for the stream. A launch is refused if
// a device of sm_89 would refuse its shape, or if it uses more than 48 KiB of dynamic shared memory without
// cudaFuncSetAttribute. cudaGetLastError() then returns the error.
void enqueue_launch(const void* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared_bytes,
                    cudaStream_t stream, std::function<void()> body);

template <class Params>
void launch(void (*kernel)(Params), dim3 grid, dim3 block, std::size_t dynamic_shared_bytes,
            cudaStream_t stream, const Params& params) {
    enqueue_launch(reinterpret_cast<const void*>(kernel), grid, block, dynamic_shared_bytes, stream,
                   [kernel, params] { kernel(params); });
}

// Returns the running block's dynamic shared memory: exactly as many bytes as the launch asked for, filled
// with NaN before each block.
void* dynamic_shared();

}  // namespace cuda_emulator
