// Allocates memory of the emulated device, so that AddressSanitizer or the race checker notices an access
// past its end.
#pragma once

#include <cstddef>

namespace cuda_emulator {

// Returns exactly `bytes` bytes, aligned to 256, or null if there is not enough memory. Every byte is 0xff,
// so that every floating-point element is NaN. AddressSanitizer guards the bytes after the end; in the race
// build, a page that belongs to no allocation follows.
void* allocate(std::size_t bytes);
void release(void* memory);

}  // namespace cuda_emulator
