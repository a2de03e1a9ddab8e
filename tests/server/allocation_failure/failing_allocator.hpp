// The allocator of the whole executable. One allocation, which a test chooses by its number, fails.
#pragma once

#include <cstdint>

namespace solard {

// Excludes the calling thread: its allocations are not counted and do not fail.
void exempt_this_thread();

// From now on, counts the allocations of all threads that are not exempt. The allocation with this number
// fails, and no other allocation fails. The first allocation has the number 1.
void fail_allocation(std::uint64_t number);
// Ends the counting which fail_allocation() began. Returns true if the chosen allocation has failed.
bool stop_failing();

}  // namespace solard
