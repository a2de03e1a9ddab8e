// Kernels with deliberate mistakes that the emulator must detect.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace solard::cuda {

enum class Bug : std::uint8_t {
    none,
    missing_barrier,           // a sum is read before every warp has written its part
    wait_off_by_one,           // the kernel does not wait for the newest group of cp.async
    refill_too_early,          // a buffer is overwritten while other threads may still read it
    divergent_barrier,         // half of the block waits at a barrier that the other half never reaches
    missing_sync_warp,         // a lane reads the value of its neighbour without sync_warp after the write
    diverging_collective,      // half of a warp shuffles, the other half votes
    read_past_the_end,         // of device memory
    write_past_the_end,        // of device memory
    ldmatrix_past_the_end,     // of shared memory
    misaligned_vector,         // a 16-byte load at an address that is no multiple of 16
    static_array_past_the_end  // a read after a __shared__ array
};

// Runs one block of 128 threads, which computes out[t] = r[t] + (r[0] + ... + r[127]). Here r[t] is the sum
// of in[round][(n + 64) % 128] over the four rounds, and n is the right neighbour of thread t in its warp.
// The result is correct for Bug::none only.
struct PlantedArgs {
    const float* in;  // [4, 128]
    float* out;       // [128]
    Bug bug;
};
void run_planted(const PlantedArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
