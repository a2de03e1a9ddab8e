// Converts weights whose type in the file is not the compute type. This happens once, when the weights are
// loaded.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

constexpr int num_threads = 256;

template <class From, class To>
__global__ void __launch_bounds__(num_threads) convert_kernel(ConvertArgs args) {
    const std::int64_t i = std::int64_t{blockIdx.x} * num_threads + threadIdx.x;
    if (i >= args.count) return;
    static_cast<To*>(args.out)[i] = from_float<To>(to_float(static_cast<const From*>(args.in)[i]));
}

}  // namespace

void convert(const ConvertArgs& args, cudaStream_t stream) {
    if (args.count == 0) return;
    const std::int64_t blocks = divide_up(args.count, std::int64_t{num_threads});
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(num_threads)};
    with_compute_type(args.to, [&]<class To>(To) {
        if (args.from == DType::fp32) return launch<convert_kernel<float, To>>(shape, stream, args);
        with_compute_type(args.from,
                          [&]<class From>(From) { launch<convert_kernel<From, To>>(shape, stream, args); });
    });
}

}  // namespace solard::cuda
