// Allocates memory of the emulated device. No memory of the host lies next to an allocation.
#pragma once

#include <cstddef>

namespace cuda_emulator {

// Returns exactly `bytes` bytes, aligned to 256, or null if memory is short. Every byte is 0xff, which makes
// NaN in every floating-point type. After the end lies memory that a sanitizer watches or, in the race build,
// a page that belongs to no allocation.
void* allocate(std::size_t bytes);
void release(void* memory);

}  // namespace cuda_emulator
