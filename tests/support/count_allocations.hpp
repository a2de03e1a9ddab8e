// Counts calls of operator new. A test executable that uses it lists count_allocations.cpp among its sources.
#pragma once

#include <cstdint>

namespace solard {

// Returns the calling thread's number of allocations since it started.
std::uint64_t num_allocations();

}  // namespace solard
