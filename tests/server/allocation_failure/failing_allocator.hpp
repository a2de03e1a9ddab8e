// An allocator for the whole executable that fails once, at a chosen allocation.
#pragma once

#include <cstdint>

namespace solard {

// Excludes the calling thread: its allocations are not counted and do not fail.
void exempt_this_thread();

// Makes the n-th allocation from now on throw std::bad_alloc, counted over all threads that are not exempt.
// The first allocation is number 1. Exactly one allocation fails.
void fail_allocation(std::uint64_t number);
// Ends what fail_allocation() began. Returns true if the allocation has failed.
bool stop_failing();

}  // namespace solard
