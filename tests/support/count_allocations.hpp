// Counts calls of operator new. To have it, a test executable lists count_allocations.cpp among its sources.
#pragma once

#include <cstdint>

namespace solard {

// Of the calling thread, since it began.
std::uint64_t num_allocations();

}  // namespace solard
