// Memory of the emulated device, each piece with nothing of the host beside it.
#pragma once

#include <cstddef>

namespace cuda_emulator {

// Exactly so many bytes, aligned to 256, all of them 0xff: NaN in every floating-point type. Null where
// memory is short. Behind its end lies what a sanitizer watches; in the race build, a page that belongs to
// nobody.
void* allocate(std::size_t bytes);
void release(void* memory);

}  // namespace cuda_emulator
