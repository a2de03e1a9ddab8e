// Looks up token ids in the embedding table. The rows that are found become the first values of the residual.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 128;

// One thread block per token.
template <class T>
__global__ void embedding_kernel(EmbeddingArgs args) {
    const int token = static_cast<int>(blockIdx.x);
    const std::int64_t row = args.token_ids[token];
    const T* const source = static_cast<const T*>(args.table) + row * args.hidden;
    float* const target = args.residual + std::int64_t{token} * args.hidden;
    for (int i = static_cast<int>(threadIdx.x) * vector_width; i < args.hidden;
         i += num_threads * vector_width) {
        float values[vector_width];
        load(source + i, values);
        store(values, target + i);
    }
}

}  // namespace

void embed(DType type, const EmbeddingArgs& args, cudaStream_t stream) {
    if (args.num_tokens == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_tokens)), .block = dim3(num_threads)};
    with_compute_type(type, [&]<class T>(T) { launch<embedding_kernel<T>>(shape, stream, args); });
}

}  // namespace solard::cuda
