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

// A mistake of a kernel: a deadlock, lanes at different operations, or an access out of bounds. The text
// names threads and source lines.
struct KernelFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A copy by cp.async that a thread has started and not yet waited for.
struct PendingCopy {
    void* shared = nullptr;
    const void* global = nullptr;
    bool valid = false;
};

struct ThreadState {
    std::uint32_t index = 0;  // in the block; lane = index % 32
    bool finished = false;
    std::source_location where;            // the barrier or warp operation at which it waits
    std::uint32_t warp_epoch = 0;          // number of sync_warp calls and barriers passed
    std::vector<PendingCopy> copies;       // not executed yet, oldest first
    std::vector<std::size_t> group_sizes;  // sizes of closed groups, oldest first
    std::size_t open_copies = 0;           // number in the group that is still open
};

// Runs a grid, one block after another. Throws KernelFault, or what the body throws.
void run_grid(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body);

// Only a running thread may call the functions below.
ThreadState& this_thread();
// Ends the kernel with this fault without unwinding the thread's stack. For places that must not throw.
[[noreturn]] void stop_kernel(const std::string& fault);
std::uint32_t block_epoch();   // number of barriers passed
std::uint64_t block_number();  // counts all blocks that ever ran
std::uint64_t launch_number();
std::size_t dynamic_shared_size();
// Returns whether a kernel is running and the address is on a thread's stack.
bool in_kernel();
bool on_a_stack(const void* address);

}  // namespace cuda_emulator
