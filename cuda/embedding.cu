// Token ids to the first residual.
#include "cuda/compute_type.cuh"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"

namespace solard::cuda {
namespace {

constexpr int num_threads = 128;

// A block a token.
template <class T>
__global__ void embedding_kernel(EmbeddingArgs args) {
    const int token = static_cast<int>(blockIdx.x);
    const std::int64_t row = args.token_ids[token];
    const auto* const source =
        reinterpret_cast<const uint4*>(static_cast<const T*>(args.table) + row * args.hidden);
    float* const target = args.residual + std::int64_t{token} * args.hidden;
    for (int i = static_cast<int>(threadIdx.x); i < args.hidden / vector_width; i += num_threads) {
        float values[vector_width];
        unpack<T>(source[i], values);
        auto* const out = reinterpret_cast<float4*>(target + i * vector_width);
        out[0] = {values[0], values[1], values[2], values[3]};
        out[1] = {values[4], values[5], values[6], values[7]};
    }
}

}  // namespace

void embed(DType type, const EmbeddingArgs& args, cudaStream_t stream) {
    if (args.num_tokens == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_tokens)), .block = dim3(num_threads)};
    with_compute_type(type, [&]<class T>(T) { launch(embedding_kernel<T>, shape, stream, args); });
}

}  // namespace solard::cuda
