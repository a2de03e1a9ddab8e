// Runs the threads of one block, one at a time, in the order that the schedule chooses.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

namespace cuda_emulator {

// What a kernel does wrong: a deadlock, lanes at different operations, an access outside. The text names
// threads and places.
struct KernelFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Copies of cp.async that a thread has started and not yet waited for.
struct PendingCopy {
    void* shared = nullptr;
    const void* global = nullptr;
    bool valid = false;
};

struct ThreadState {
    std::uint32_t index = 0;  // in the block; lane = index % 32
    bool finished = false;
    std::source_location where;            // of the barrier or collective that it waits at
    std::uint32_t warp_epoch = 0;          // sync_warp and barriers passed
    std::vector<PendingCopy> copies;       // not carried out yet, oldest first
    std::vector<std::size_t> group_sizes;  // of closed groups, oldest first
    std::size_t open_copies = 0;           // of the group that is still open
};

// Runs a grid, block after block. Throws KernelFault, or what the body throws.
void run_grid(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body);

// From a running thread only.
ThreadState& this_thread();
// Ends the kernel with this fault without unwinding the thread: for where nothing may be thrown.
[[noreturn]] void stop_kernel(const std::string& fault);
std::uint32_t block_epoch();   // barriers passed
std::uint64_t block_number();  // of all blocks ever run
std::uint64_t launch_number();
std::size_t dynamic_shared_size();
// Is a kernel running, and is the address on a thread's stack?
bool in_kernel();
bool on_a_stack(const void* address);

}  // namespace cuda_emulator
