// Streams of the emulated device. The work of a stream does not run until something waits for the stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>

namespace cuda_emulator {

// Appends work to the stream (null: the default stream). If the device has failed, returns its error.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
// drain() runs the work of one stream, and drain_all() runs the work of all streams. After a fault nothing
// more runs, and every call returns the error, as on a device whose context is lost.
cudaError_t drain(cudaStream_t stream);
cudaError_t drain_all();

// Sets the error that the calling thread's cudaGetLastError() returns.
cudaError_t refuse(cudaError_t error);

// ---- for tests

// Returns the text of the fault that made a kernel fail, or an empty text if no kernel failed.
std::string fault_text();
// Removes the fault and all work of the device.
void reset_faults();
// Makes the `count`th launch from now on fail as if the kernel had used an illegal address. If `count` is 0,
// no launch fails.
void fail_launch(std::uint64_t count);

struct Counters {
    std::uint64_t launches = 0;
    std::uint64_t allocations = 0;   // number of allocations of device and pinned memory
    std::uint64_t pinned_bytes = 0;  // bytes of all pinned allocations, including freed ones
    std::uint64_t copies_to_device = 0;
    std::uint64_t copies_to_host = 0;
    std::uint64_t kernels = 0;  // number of different kernels started since unload_kernels()
};
const Counters& counters();
void unload_kernels();
Counters& mutable_counters();

// Sets the size of the device's memory in bytes, which is 2 GiB at the start. cudaMalloc fails if this memory
// is full.
void set_device_memory(std::size_t bytes);
// Returns whether [address, address + bytes) is inside one allocation of device memory.
bool is_device_memory(const void* address, std::size_t bytes);

}  // namespace cuda_emulator
