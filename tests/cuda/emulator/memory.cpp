// The functions of the CUDA runtime for memory, for copies and for the properties of the emulated device.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "tests/cuda/emulator/allocate.hpp"
#include "tests/cuda/emulator/race_checker.hpp"
#include "tests/cuda/emulator/streams.hpp"

namespace cuda_emulator {
namespace {

struct Memory {
    std::map<const std::byte*, std::size_t> allocations;  // sizes of the allocations on the device
    std::size_t used = 0;
    std::size_t size = std::size_t{2} << 30;
};

Memory& memory() {
    static Memory instance;
    return instance;
}

void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    note_host_write(to, bytes);
    std::memcpy(to, from, bytes);
}

void count(cudaMemcpyKind kind) {
    if (kind == cudaMemcpyHostToDevice) ++mutable_counters().copies_to_device;
    if (kind == cudaMemcpyDeviceToHost) ++mutable_counters().copies_to_host;
}

}  // namespace

void set_device_memory(std::size_t bytes) {
    memory().size = bytes;
}

bool is_device_memory(const void* address, std::size_t bytes) {
    const auto* const begin = static_cast<const std::byte*>(address);
    auto after = memory().allocations.upper_bound(begin);
    if (after == memory().allocations.begin()) return false;
    const auto& [base, size] = *--after;
    return begin + bytes <= base + size;
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

extern "C" {

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
    ++mutable_counters().allocations;
    if (memory().used + bytes > memory().size) return refuse(cudaErrorMemoryAllocation);
    *address = allocate(bytes);
    if (*address == nullptr) return refuse(cudaErrorMemoryAllocation);
    memory().allocations[static_cast<const std::byte*>(*address)] = bytes;
    memory().used += bytes;
    note_memory(*address, bytes);
    return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
    const cudaError_t status = drain_all();
    if (address == nullptr) return status;
    const auto found = memory().allocations.find(static_cast<const std::byte*>(address));
    if (found == memory().allocations.end()) return refuse(cudaErrorInvalidValue);
    memory().used -= found->second;
    memory().allocations.erase(found);
    note_no_memory(address);
    release(address);
    return status;
}
cudaError_t cudaMallocHost(void** address, std::size_t bytes) {
    ++mutable_counters().allocations;
    mutable_counters().pinned_bytes += bytes;
    *address = allocate(bytes);
    return *address == nullptr ? refuse(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* address) {
    const cudaError_t status = drain_all();
    release(address);
    return status;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total) {
    *total = memory().size;
    *free_bytes = memory().size - memory().used;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    count(kind);
    return enqueue(stream, [=] { copy(to, from, bytes); });
}
// As with the real driver, the host's data is read before this function returns, but may reach the device
// later. A stream that was made with cudaStreamNonBlocking does not wait for this copy.
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (kind != cudaMemcpyHostToDevice) {
        const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
        return status != cudaSuccess ? status : drain(nullptr);
    }
    count(kind);
    const auto* const begin = static_cast<const std::byte*>(from);
    return enqueue(nullptr,
                   [to, taken = std::vector(begin, begin + bytes)] { copy(to, taken.data(), taken.size()); });
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
    count(kind);
    return enqueue(stream, [=] {
        for (std::size_t row = 0; row < height; ++row) {
            copy(static_cast<std::byte*>(to) + row * to_pitch,
                 static_cast<const std::byte*>(from) + row * from_pitch, width);
        }
    });
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
    const cudaError_t status =
        cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, height, kind, nullptr);
    return status != cudaSuccess ? status : drain(nullptr);
}
cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
    return enqueue(stream, [=] {
        note_host_write(address, bytes);
        std::memset(address, value, bytes);
    });
}
// A stream that was made with cudaStreamNonBlocking does not wait for this memset.
cudaError_t cudaMemset(void* address, int value, std::size_t bytes) {
    return cudaMemsetAsync(address, value, bytes, nullptr);
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : refuse(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    std::strcpy(properties->name, "CUDA on the CPU");
    properties->totalGlobalMem = memory().size;
    properties->major = 8;
    properties->minor = 9;
    properties->multiProcessorCount = 142;
    properties->l2CacheSize = 96 << 20;
    properties->sharedMemPerMultiprocessor = 100 << 10;
    properties->sharedMemPerBlockOptin = 99 << 10;
    properties->warpSize = 32;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor:
            *value = 8;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = 9;
            return cudaSuccess;
        case cudaDevAttrMultiProcessorCount:
            *value = 142;
            return cudaSuccess;
        case cudaDevAttrL2CacheSize:
            *value = 96 << 20;
            return cudaSuccess;
        default:
            *value = 0;
            return refuse(cudaErrorInvalidValue);
    }
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "cudaSuccess";
        case cudaErrorInvalidValue:
            return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation:
            return "cudaErrorMemoryAllocation";
        case cudaErrorLaunchFailure:
            return "cudaErrorLaunchFailure";
        case cudaErrorNotReady:
            return "cudaErrorNotReady";
        default:
            return "another CUDA error";
    }
}
const char* cudaGetErrorString(cudaError_t error) {
    static std::string text;
    text = error == cudaErrorLaunchFailure ? fault_text() : cudaGetErrorName(error);
    return text.c_str();
}

}  // extern "C"
