// Counts calls of operator new and the memory in use. A test executable that includes this header must list
// count_allocations.cpp among its sources.
#pragma once

#include <cstdint>

namespace solard {

// Returns how often the calling thread has called operator new since the thread started.
std::uint64_t num_allocations();
// Returns the bytes which the calling thread has allocated minus the bytes which it has freed. The
// allocator's own bytes in each heap block are counted, too.
std::int64_t allocated_bytes();

}  // namespace solard
