#include "tests/cuda/emulator/planted.hpp"

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 128;
constexpr int rounds = 4;

// Two buffers of 128 floats: while the block uses one buffer, cp.async fills the other buffer. Threads 0 to
// 31 copy four floats each.
struct Shared {
    float buffers[2][num_threads];
    float exchange[num_threads];
    float parts[num_threads / warp_size];
};

__device__ void start_copy(const PlantedArgs& args, Shared& shared, int round) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < warp_size && round < rounds) {
        copy_async_16(shared.buffers[round % 2], static_cast<std::uint32_t>(thread * 16),
                      args.in + round * num_threads + thread * 4, true);
    }
    copy_async_commit();
}

// Returns the value of the right neighbour, which the lanes exchange through shared memory.
__device__ float from_neighbour(const PlantedArgs& args, Shared& shared, float value) {
    const int thread = static_cast<int>(threadIdx.x);
    shared.exchange[thread] = value;
    if (args.bug != Bug::missing_sync_warp) sync_warp();
    const float other = shared.exchange[thread / warp_size * warp_size + (thread + 1) % warp_size];
    sync_warp();
    return other;
}

// Returns the block's sum to every thread.
__device__ float sum_of_block(const PlantedArgs& args, Shared& shared, float value) {
    const int thread = static_cast<int>(threadIdx.x);
    for (int mask = warp_size / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    if (thread % warp_size == 0) shared.parts[thread / warp_size] = value;
    if (args.bug != Bug::missing_barrier) __syncthreads();
    float sum = 0;
    for (int warp = 0; warp < num_threads / warp_size; ++warp) sum += shared.parts[warp];
    __syncthreads();
    return sum;
}

__device__ float read_strangely(const PlantedArgs& args, Shared& shared) {
    const int thread = static_cast<int>(threadIdx.x);
    float extra = 0;
    if (args.bug == Bug::read_past_the_end) extra = args.in[rounds * num_threads + thread];
    if (args.bug == Bug::misaligned_vector)
        extra = reinterpret_cast<const float4*>(args.in + 1)[thread % 4].x;
    if (args.bug == Bug::ldmatrix_past_the_end) {
        std::uint32_t r[4];
        load_matrix_x4(r, &shared, static_cast<std::uint32_t>(sizeof(Shared) + 16));
        extra = static_cast<float>(r[0]);
    }
    if (args.bug == Bug::static_array_past_the_end) {
        __shared__ float array[num_threads];
        array[thread] = 0;
        __syncthreads();
        // The index depends on gridDim, so that the compiler does not know the index.
        extra = array[thread + static_cast<int>(gridDim.x) * num_threads];
    }
    if (args.bug == Bug::diverging_collective) {
        extra = thread % 2 == 0 ? shuffle_xor(extra, 2) : static_cast<float>(ballot(true));
    }
    if (args.bug == Bug::divergent_barrier && thread % 2 == 0) __syncthreads();
    return extra;
}

__global__ void planted_kernel(PlantedArgs args) {
    Shared& shared = *dynamic_shared<Shared>();
    const int thread = static_cast<int>(threadIdx.x);
    float result = 0;
    start_copy(args, shared, 0);
    for (int round = 0; round < rounds; ++round) {
        start_copy(args, shared, round + 1);
        if (args.bug == Bug::wait_off_by_one) {
            copy_async_wait<2>();
        } else {
            copy_async_wait<1>();
        }
        __syncthreads();
        const float value = shared.buffers[round % 2][(thread + 64) % num_threads];
        if (args.bug != Bug::refill_too_early) __syncthreads();
        result += from_neighbour(args, shared, value);
    }
    result += 0 * sum_of_block(args, shared, result);
    const float total = sum_of_block(args, shared, result);
    const float extra = read_strangely(args, shared);
    result += total + (extra == 12345.0F ? 1 : 0);
    if (args.bug == Bug::write_past_the_end) args.out[num_threads + thread] = result;
    args.out[thread] = result;
}

}  // namespace

void run_planted(const PlantedArgs& args, cudaStream_t stream) {
    launch<planted_kernel>(
        {.grid = dim3(1), .block = dim3(num_threads), .dynamic_shared_bytes = sizeof(Shared)}, stream, args);
}

}  // namespace solard::cuda
