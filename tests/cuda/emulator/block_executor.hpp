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

// A mistake of a kernel, for example a deadlock or an access out of bounds. The text names the threads or the
// source lines.
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
    std::uint32_t index = 0;  // number of the thread in the block; lane = index % 32
    bool finished = false;
    std::source_location where;            // the barrier or warp operation at which the thread waits
    std::uint32_t warp_epoch = 0;          // number of sync_warp calls and barriers passed
    std::vector<PendingCopy> copies;       // copies not executed yet, oldest first
    std::vector<std::size_t> group_sizes;  // number of copies in each closed group, oldest first
    std::size_t open_copies = 0;           // number of copies in the group that is still open
};

// Runs a grid, one block after another. Throws KernelFault, or the exception that `body` throws.
void run_grid(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body);

// Only a running thread may call the functions below.
ThreadState& this_thread();
// Ends the kernel with this fault, without unwinding the thread's stack. This function is for code that must
// not throw an exception.
[[noreturn]] void stop_kernel(const std::string& fault);
std::uint32_t block_epoch();   // number of barriers that the block has passed
std::uint64_t block_number();  // number of the running block among all blocks that ever ran
std::uint64_t launch_number();
std::size_t dynamic_shared_size();
// in_kernel() returns whether a kernel is running. on_a_stack() returns whether the address is on the stack
// of any thread. Both may be called at any time.
bool in_kernel();
bool on_a_stack(const void* address);

}  // namespace cuda_emulator
