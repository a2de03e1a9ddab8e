// Kernels with deliberate mistakes that the emulator must detect.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace solard::cuda {

enum class Bug : std::uint8_t {
    none,
    missing_barrier,           // a sum is read before every warp has written its part
    wait_off_by_one,           // the newest group of cp.async is not waited for
    refill_too_early,          // a buffer is overwritten while others may still read it
    divergent_barrier,         // half of the block waits at a barrier that the others never reach
    missing_sync_warp,         // a lane reads what its neighbour wrote, without sync_warp in between
    diverging_collective,      // half of a warp shuffles, the other half votes
    read_past_the_end,         // of device memory
    write_past_the_end,        // of device memory
    ldmatrix_past_the_end,     // of shared memory
    misaligned_vector,         // a 16-byte load at an odd place
    static_array_past_the_end  // a __shared__ array
};

// Runs one block of 128 threads: out[t] = r[t] + the sum of all r, where r[t] is the sum over the four rounds
// of the value that the thread's right neighbour in its warp takes from the round. The result is right for
// Bug::none only.
struct PlantedArgs {
    const float* in;  // [4, 128]
    float* out;       // [128]
    Bug bug;
};
void run_planted(const PlantedArgs& args, cudaStream_t stream);

}  // namespace solard::cuda
