// Counts calls of operator new and the memory in use. A test executable that uses it lists
// count_allocations.cpp among its sources.
#pragma once

#include <cstdint>

namespace solard {

// Returns the calling thread's number of allocations since it started.
std::uint64_t num_allocations();
// Returns the bytes which the calling thread has allocated minus those which it has freed, as blocks of the
// heap: with the allocator's own bytes.
std::int64_t allocated_bytes();

}  // namespace solard
