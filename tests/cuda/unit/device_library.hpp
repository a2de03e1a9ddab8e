// Provides the cuBLASLt that the tests use, and functions that control the emulated device. On a GPU the
// library is the real cuBLASLt; otherwise it is the emulated cuBLASLt of tests/cuda/emulator.
#pragma once

#include <cstdint>

#include "cuda/cublaslt.hpp"

namespace solard::cuda {

// Returns the library. On a GPU, CublasLt::open() opens `wanted`, or the value of SOLARD_CUBLASLT if `wanted`
// is empty. Throws ErrorException if the library cannot be opened.
CublasLt device_library(const std::filesystem::path& wanted = {});
bool device_is_emulated();
// propose_algorithms() sets how many algorithms are proposed for a product (see
// cuda_emulator::set_proposals); on a GPU it does nothing. The other two functions return how many products
// were computed, in total or by one algorithm; on a GPU they return 0.
constexpr int num_algorithms = 5;
void propose_algorithms(int count);
std::uint64_t products_computed();
std::uint64_t products_computed_by(int algorithm);

// The numbers of operations that the emulated device has done so far. A real GPU does not count: there all
// counters are 0.
struct DeviceCounters {
    std::uint64_t allocations = 0;
    std::uint64_t pinned_bytes = 0;  // bytes of all pinned allocations, including freed ones
    std::uint64_t copies_to_device = 0;
    std::uint64_t copies_to_host = 0;
    std::uint64_t launches = 0;
    std::uint64_t kernels = 0;  // number of different kernels started since unload_kernels()
};
DeviceCounters device_counters();
void unload_kernels();
// Emulator only: makes the `count`th launch from now on fail. After that launch, every call fails until
// forget_failures() is called.
void fail_launch(std::uint64_t count);
// Emulator only: sets the size of the device's memory in bytes, which is 2 GiB at the start.
void set_device_memory(std::size_t bytes);
void forget_failures();

// Emulator only: while an object of this class exists, the threads of a block run in random order. On a GPU
// the object does nothing.
class RandomSchedule {
  public:
    explicit RandomSchedule(std::uint64_t seed);
    RandomSchedule(const RandomSchedule&) = delete;
    RandomSchedule& operator=(const RandomSchedule&) = delete;
    ~RandomSchedule();
};

}  // namespace solard::cuda
