#include "tests/cuda/unit/wrappers.hpp"

#include "cuda/compute_type.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

namespace solard::cuda {
namespace {

__global__ void load_kernel(LoadMatrixArgs args) {
    auto* const shared = dynamic_shared<std::uint16_t>();
    const int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += warp_size) shared[i] = args.matrices[i];
    __syncthreads();
    std::uint32_t r[4];
    const auto offset = static_cast<std::uint32_t>(lane * 16);
    if (args.transposed) {
        load_matrix_x4_transposed(r, shared, offset);
    } else {
        load_matrix_x4(r, shared, offset);
    }
    for (int i = 0; i < 4; ++i) args.registers[lane * 4 + i] = r[i];
}

// Fills the registers in the layouts that ptx.cuh describes, element by element and without ldmatrix.
template <class T>
__global__ void mma_kernel(MmaArgs args) {
    const int lane = static_cast<int>(threadIdx.x);
    const int g = lane / 4;
    const int t = lane % 4;
    const auto pair = [](std::uint32_t low, std::uint32_t high) { return low | (high << 16); };
    const auto a_at = [&](int row, int column) {
        return pair(args.a[row * 16 + column], args.a[row * 16 + column + 1]);
    };
    const auto b_at = [&](int row, int column) {
        return pair(args.b[row * 8 + column], args.b[(row + 1) * 8 + column]);
    };
    const std::uint32_t a[4] = {a_at(g, 2 * t), a_at(g + 8, 2 * t), a_at(g, 2 * t + 8),
                                a_at(g + 8, 2 * t + 8)};
    const std::uint32_t b[2] = {b_at(2 * t, g), b_at(2 * t + 8, g)};
    float d[4];
    const int places[4] = {g * 8 + 2 * t, g * 8 + 2 * t + 1, (g + 8) * 8 + 2 * t, (g + 8) * 8 + 2 * t + 1};
    for (int i = 0; i < 4; ++i) d[i] = args.d[places[i]];
    mma_m16n8k16<T>(d, a, b);
    for (int i = 0; i < 4; ++i) args.d[places[i]] = d[i];
}

__global__ void shuffle_kernel(ShuffleArgs args) {
    const int lane = static_cast<int>(threadIdx.x);
    const double value = args.values[lane];
    args.from_lane[lane] = shuffle(value, 31 - lane);
    args.by_xor[lane] = shuffle_xor(value, args.mask);
    args.up[lane] = shuffle_up(value, args.delta);
    args.ballots[lane] = ballot(static_cast<int>(value) % 2 != 0);
}

__global__ void copy_kernel(CopyAsyncArgs args) {
    auto* const shared = dynamic_shared<std::uint32_t>();
    const int thread = static_cast<int>(threadIdx.x);
    // Each thread reads the piece that another thread copied, so that waiting for its own copies is not
    // enough.
    const int other = 63 - thread;
    copy_async_16(shared, static_cast<std::uint32_t>(thread * 16), args.in + thread * 4,
                  args.valid[thread] != 0);
    copy_async_commit();
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    for (int i = 0; i < 4; ++i) args.out[other * 4 + i] = shared[other * 4 + i];
}

}  // namespace

void load_matrices(const LoadMatrixArgs& args, cudaStream_t stream) {
    launch<load_kernel>({.grid = dim3(1), .block = dim3(warp_size), .dynamic_shared_bytes = 512}, stream,
                        args);
}

void multiply_tiles(DType type, const MmaArgs& args, cudaStream_t stream) {
    with_compute_type(type, [&]<class T>(T) {
        launch<mma_kernel<T>>({.grid = dim3(1), .block = dim3(warp_size)}, stream, args);
    });
}

void shuffle_values(const ShuffleArgs& args, cudaStream_t stream) {
    launch<shuffle_kernel>({.grid = dim3(1), .block = dim3(warp_size)}, stream, args);
}

void copy_pieces(const CopyAsyncArgs& args, cudaStream_t stream) {
    launch<copy_kernel>({.grid = dim3(1), .block = dim3(64), .dynamic_shared_bytes = 1024}, stream, args);
}

}  // namespace solard::cuda
