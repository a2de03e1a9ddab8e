// Residual addition and RMS norm in one pass over memory.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 256;
constexpr int num_warps = num_threads / warp_size;

// Eight floats of a row.
__device__ void load(const float* from, float (&values)[vector_width]) {
    const float4 low = reinterpret_cast<const float4*>(from)[0];
    const float4 high = reinterpret_cast<const float4*>(from)[1];
    const float all[vector_width] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    for (int i = 0; i < vector_width; ++i) values[i] = all[i];
}

__device__ void store(const float (&values)[vector_width], float* to) {
    reinterpret_cast<float4*>(to)[0] = {values[0], values[1], values[2], values[3]};
    reinterpret_cast<float4*>(to)[1] = {values[4], values[5], values[6], values[7]};
}

// A block a row. The row waits in shared memory for its sum of squares.
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
            unpack<T>(*reinterpret_cast<const uint4*>(projected + i), added);
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
        unpack<T>(*reinterpret_cast<const uint4*>(weight + i), weights);
        for (int j = 0; j < vector_width; ++j) values[j] = values[j] * scale * weights[j];
        *reinterpret_cast<uint4*>(normed + i) = pack<T>(values);
    }
}

}  // namespace

void add_rms_norm(DType type, const AddRmsNormArgs& args, cudaStream_t stream) {
    if (args.num_rows == 0) return;
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(args.num_rows)),
        .block = dim3(num_threads),
        .dynamic_shared_bytes = sizeof(float) * (num_warps + static_cast<std::size_t>(args.hidden))};
    with_compute_type(type, [&]<class T>(T) { launch(add_rms_norm_kernel<T>, shape, stream, args); });
}

}  // namespace solard::cuda
