// Residual addition and RMS norm in one pass over memory.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 256;
constexpr int num_warps = num_threads / warp_size;

// One thread block per row. The row stays in shared memory until its sum of squares is known.
template <class T>
__global__ void __launch_bounds__(num_threads) add_rms_norm_kernel(AddRmsNormArgs args) {
    float* const scratch = dynamic_shared<float>();  // [num_warps]
    float* const x = scratch + num_warps;            // [hidden]
    const std::int64_t row = blockIdx.x;
    const std::int64_t token = args.rows != nullptr ? args.rows[row] : row;
    float* const residual = args.residual + token * args.hidden;
    const T* const projected = static_cast<const T*>(args.projected) + token * args.hidden;
    const T* const weight = static_cast<const T*>(args.weight);
    T* const normed = static_cast<T*>(args.normed) + row * args.hidden;

    const int first = static_cast<int>(threadIdx.x) * vector_width;
    constexpr int step = num_threads * vector_width;
    float squares = 0;
    for (int i = first; i < args.hidden; i += step) {
        float values[vector_width];
        load(residual + i, values);
        if (args.projected != nullptr) {
            float added[vector_width];
            load(projected + i, added);
            for (int j = 0; j < vector_width; ++j) values[j] += added[j];
            if (args.rows == nullptr) store(values, residual + i);
        }
        for (const float value : values) squares += value * value;
        store(values, x + i);
    }
    const float mean = block_sum<num_threads>(squares, scratch) / static_cast<float>(args.hidden);
    const float scale = 1.0F / sqrtf(mean + args.eps);
    for (int i = first; i < args.hidden; i += step) {
        float values[vector_width];
        float weights[vector_width];
        load(x + i, values);
        load(weight + i, weights);
        for (int j = 0; j < vector_width; ++j) values[j] = values[j] * scale * weights[j];
        store(values, normed + i);
    }
}

}  // namespace

void add_rms_norm(DType type, const AddRmsNormArgs& args, cudaStream_t stream) {
    if (args.num_rows == 0) return;
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(args.num_rows)),
        .block = dim3(num_threads),
        .dynamic_shared_bytes = sizeof(float) * (num_warps + static_cast<std::size_t>(args.hidden))};
    with_compute_type(type, [&]<class T>(T) { launch<add_rms_norm_kernel<T>>(shape, stream, args); });
}

}  // namespace solard::cuda
