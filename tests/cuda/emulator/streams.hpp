// Work of the emulated device: it waits in its stream until somebody waits for it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>

namespace cuda_emulator {

// Appends to the stream (null: the default stream). Returns the device's error where it has one.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
// Runs what the stream holds, or all of them. After a fault in one of them nothing more runs, and every call
// returns its error: as on a device, whose context is lost.
cudaError_t drain(cudaStream_t stream);
cudaError_t drain_all();

// Sets the error that the calling thread's cudaGetLastError() returns.
cudaError_t refuse(cudaError_t error);

// ---- for tests

// What went wrong in the kernel that failed; empty if none has.
std::string fault_text();
// A device without faults and without work.
void reset_faults();
// The `count`th launch from now on fails with cudaErrorIllegalAddress; 0: none does.
void fail_launch(std::uint64_t count);

struct Counters {
    std::uint64_t launches = 0;
    std::uint64_t allocations = 0;   // of device and pinned memory
    std::uint64_t pinned_bytes = 0;  // taken, also what was given back
    std::uint64_t copies_to_device = 0;
    std::uint64_t copies_to_host = 0;
    std::uint64_t kernels = 0;  // loaded: started at least once since unload_kernels()
};
const Counters& counters();
void unload_kernels();
Counters& mutable_counters();

// Bytes of the device; cudaMalloc fails beyond them. 2 GiB at the start.
void set_device_memory(std::size_t bytes);
// Is [address, address + bytes) inside one allocation of device memory?
bool is_device_memory(const void* address, std::size_t bytes);

}  // namespace cuda_emulator
