// The cuBLASLt that tests multiply with: on a GPU the real one, else that of tests/cuda_on_cpu.
#pragma once

#include <cstdint>

#include "cuda/cublaslt.hpp"

namespace solard::cuda {

// Throws ErrorException where the library cannot be opened.
CublasLt device_library();
bool device_is_emulated();
// Emulated: how many algorithms are proposed for a product (see cuda_on_cpu::set_proposals), and how many
// products were computed. On a GPU the first does nothing and the second is 0.
void propose_algorithms(int count);
std::uint64_t products_computed();

// Emulated: while it lives, threads take their turns by chance. On a GPU they always do.
class RandomSchedule {
  public:
    explicit RandomSchedule(std::uint64_t seed);
    RandomSchedule(const RandomSchedule&) = delete;
    RandomSchedule& operator=(const RandomSchedule&) = delete;
    ~RandomSchedule();
};

}  // namespace solard::cuda
