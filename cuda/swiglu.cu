// The gate of the feed-forward network.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

constexpr int num_threads = 256;

template <class T>
__global__ void __launch_bounds__(num_threads) swiglu_kernel(SwigluArgs args) {
    const std::int64_t token = blockIdx.x;
    const int i = static_cast<int>(blockIdx.y * num_threads + threadIdx.x) * vector_width;
    if (i >= args.intermediate) return;
    const T* const gate = static_cast<const T*>(args.gate_up) + token * 2 * args.intermediate + i;
    float gates[vector_width];
    float ups[vector_width];
    load(gate, gates);
    load(gate + args.intermediate, ups);
    for (int j = 0; j < vector_width; ++j) gates[j] = gates[j] / (1.0F + expf(-gates[j])) * ups[j];
    T* const out = static_cast<T*>(args.activated) + token * args.intermediate + i;
    store(gates, out);
}

}  // namespace

void swiglu(DType type, const SwigluArgs& args, cudaStream_t stream) {
    if (args.num_tokens == 0) return;
    const int columns_per_block = num_threads * vector_width;
    const int blocks = divide_up(args.intermediate, columns_per_block);
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(args.num_tokens), static_cast<unsigned>(blocks)),
        .block = dim3(num_threads)};
    with_compute_type(type, [&]<class T>(T) { launch<swiglu_kernel<T>>(shape, stream, args); });
}

}  // namespace solard::cuda
