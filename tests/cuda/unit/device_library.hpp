// The cuBLASLt that the tests use, and controls of the emulated device. On a GPU the library is the real one,
// else that of tests/cuda/emulator.
#pragma once

#include <cstdint>

#include "cuda/cublaslt.hpp"

namespace solard::cuda {

// Returns the library. On a GPU, CublasLt::open() opens `wanted`, or else the value of SOLARD_CUBLASLT.
// Throws ErrorException if it cannot be opened.
CublasLt device_library(const std::filesystem::path& wanted = {});
bool device_is_emulated();
// propose_algorithms sets how many algorithms are proposed for a product (see cuda_emulator::set_proposals).
// The other two return how many products were computed, in total or by one algorithm. On a GPU the first does
// nothing and the others return 0.
constexpr int num_algorithms = 5;
void propose_algorithms(int count);
std::uint64_t products_computed();
std::uint64_t products_computed_by(int algorithm);

// What the device has done so far; all 0 on a GPU.
struct DeviceCounters {
    std::uint64_t allocations = 0;
    std::uint64_t pinned_bytes = 0;  // allocated, including what was freed
    std::uint64_t copies_to_device = 0;
    std::uint64_t copies_to_host = 0;
    std::uint64_t launches = 0;
    std::uint64_t kernels = 0;  // number of different kernels started since unload_kernels()
};
DeviceCounters device_counters();
void unload_kernels();
// Emulator only: makes the `count`th launch from now on fail, and with it every call until forget_failures().
void fail_launch(std::uint64_t count);
// Emulator only: sets the memory of the whole device, which is 2 GiB at first.
void set_device_memory(std::size_t bytes);
void forget_failures();

// Emulator only: while an object lives, threads take turns in random order. On a GPU they always do.
class RandomSchedule {
  public:
    explicit RandomSchedule(std::uint64_t seed);
    RandomSchedule(const RandomSchedule&) = delete;
    RandomSchedule& operator=(const RandomSchedule&) = delete;
    ~RandomSchedule();
};

}  // namespace solard::cuda
