#include "tests/bench/solard_bench/random_weights.hpp"

#include <cmath>

#include "cuda/compute_type.cuh"
#include "cuda/launch.cuh"
#include "inference/sampling/philox.hpp"

namespace solard::bench {
namespace {

using cuda::DeviceLayer;
using cuda::DeviceWeights;

constexpr int num_threads = 256;
constexpr std::int64_t num_per_thread = 8;

struct FillArgs {
    void* out;  // [count]
    std::int64_t count;
    float center;
    float width;  // values lie in [center - width, center + width)
    std::uint32_t seed;
};

template <class T>
__global__ void fill_kernel(FillArgs args) {
    const std::int64_t first = (std::int64_t{blockIdx.x} * num_threads + threadIdx.x) * num_per_thread;
    for (std::int64_t i = first; i < first + num_per_thread && i < args.count; ++i) {
        const std::uint32_t word = philox4x32_10(
            {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}, {args.seed, 7})[0];
        const float unit = static_cast<float>(word) * 0x1p-31F - 1;
        static_cast<T*>(args.out)[i] = cuda::from_float<T>(args.center + args.width * unit);
    }
}

// Places the matrices one after another, each at a multiple of 256 bytes. If `memory` is null, only adds up
// their sizes.
class Filler {
  public:
    Filler(std::byte* memory, DType type) : next_(memory), type_(type) {}

    const void* fill(std::int64_t rows, std::int64_t columns, float center, float width) {
        FillArgs args{
            .out = next_, .count = rows * columns, .center = center, .width = width, .seed = ++seed_};
        if (next_ != nullptr) {
            const std::int64_t per_block = num_threads * num_per_thread;
            const cuda::LaunchShape shape{
                .grid = dim3(static_cast<unsigned>((args.count + per_block - 1) / per_block)),
                .block = dim3(num_threads)};
            cuda::with_compute_type(
                type_, [&]<class T>(T) { cuda::launch<fill_kernel<T>>(shape, cudaStream_t{}, args); });
        }
        const auto bytes = static_cast<std::size_t>((args.count * 2 + 255) / 256 * 256);
        if (next_ != nullptr) next_ += bytes;
        size_ += bytes;
        return args.out;
    }
    // Adds a matrix with a standard deviation of 1 / sqrt(columns).
    const void* matrix(std::int64_t rows, std::int64_t columns) {
        return fill(rows, columns, 0, std::sqrt(3.0F / static_cast<float>(columns)));
    }
    const void* ones(std::int64_t size) { return fill(1, size, 1, 0); }
    std::size_t size() const { return size_; }

  private:
    std::byte* next_;
    DType type_;
    std::size_t size_ = 0;
    std::uint32_t seed_ = 0;
};

void fill_all(Filler& filler, const ModelConfig& config, DeviceWeights& weights) {
    const std::int64_t hidden = config.hidden_size;
    const std::int64_t heads = std::int64_t{config.num_heads} * config.head_dim;
    const std::int64_t kv = std::int64_t{config.num_kv_heads} * config.head_dim;
    weights.layers.clear();
    weights.embedding = filler.fill(config.vocab_size, hidden, 0, 1);
    for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
        weights.layers.push_back(
            {.input_norm = filler.ones(hidden),
             .qkv = filler.matrix(heads + 2 * kv, hidden),
             .o = filler.matrix(hidden, heads),
             .post_norm = filler.ones(hidden),
             .gate_up = filler.matrix(std::int64_t{2} * config.intermediate_size, hidden),
             .down = filler.matrix(hidden, config.intermediate_size)});
    }
    weights.final_norm = filler.ones(hidden);
    weights.lm_head =
        config.tie_word_embeddings ? weights.embedding : filler.matrix(config.vocab_size, hidden);
}

}  // namespace

DeviceWeights make_random_weights(const ModelConfig& config, DType type) {
    DeviceWeights weights;
    Filler measure(nullptr, type);
    fill_all(measure, config, weights);
    weights.memory = cuda::DeviceBuffer<std::byte>(measure.size());
    Filler filler(weights.memory.data(), type);
    fill_all(filler, config, weights);
    cuda::check(cudaDeviceSynchronize());
    return weights;
}

}  // namespace solard::bench
