// The cuBLASLt that tests multiply with: on a GPU the real one, else that of tests/cuda/emulator.
#pragma once

#include <cstdint>

#include "cuda/cublaslt.hpp"

namespace solard::cuda {

// On a GPU, `wanted` or else $SOLARD_CUBLASLT as CublasLt::open() takes it; throws ErrorException where it
// cannot be opened.
CublasLt device_library(const std::filesystem::path& wanted = {});
bool device_is_emulated();
// Emulated: how many algorithms are proposed for a product (see cuda_emulator::set_proposals), and how many
// products were computed, in all and by one algorithm. On a GPU the first does nothing and the others are 0.
constexpr int num_algorithms = 5;
void propose_algorithms(int count);
std::uint64_t products_computed();
std::uint64_t products_computed_by(int algorithm);

// What the device was asked for so far; all 0 on a GPU.
struct DeviceCounters {
    std::uint64_t allocations = 0;
    std::uint64_t pinned_bytes = 0;  // taken, also what was given back
    std::uint64_t copies_to_device = 0;
    std::uint64_t copies_to_host = 0;
    std::uint64_t launches = 0;
    std::uint64_t kernels = 0;  // different ones, since unload_kernels()
};
DeviceCounters device_counters();
void unload_kernels();
// Emulated: the `count`th launch from now on fails, and with it the device until forget_failures().
void fail_launch(std::uint64_t count);
// Emulated: of the whole device, 2 GiB at first.
void set_device_memory(std::size_t bytes);
void forget_failures();

// Emulated: while it lives, threads take their turns by chance. On a GPU they always do.
class RandomSchedule {
  public:
    explicit RandomSchedule(std::uint64_t seed);
    RandomSchedule(const RandomSchedule&) = delete;
    RandomSchedule& operator=(const RandomSchedule&) = delete;
    ~RandomSchedule();
};

}  // namespace solard::cuda
