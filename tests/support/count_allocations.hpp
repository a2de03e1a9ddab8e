// Counts calls of operator new. A test executable that includes this header must list count_allocations.cpp
// among its sources.
#pragma once

#include <cstdint>

namespace solard {

// Returns how often the calling thread has called operator new since the thread started.
std::uint64_t num_allocations();

}  // namespace solard
