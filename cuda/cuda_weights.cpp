#include "cuda/cuda_weights.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "cuda/kernels.hpp"
#include "inference/model/weight_reader.hpp"
#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

using Parts = std::initializer_list<const TensorInfo*>;

constexpr std::size_t piece_bytes = std::size_t{32} << 20;  // size of one pinned buffer
constexpr std::size_t alignment = 256;                      // in bytes, of every matrix and of cudaMalloc

// Returns the size of a tensor in the compute type, in bytes.
std::size_t bytes_of(const TensorInfo& tensor) {
    return tensor.num_bytes / size_of(tensor.dtype) * sizeof(std::uint16_t);
}

std::size_t footprint(Parts parts) {
    std::size_t bytes = 0;
    for (const TensorInfo* part : parts) bytes += bytes_of(*part);
    return round_up(bytes, alignment);
}

// Returns the number of bytes of device memory that the weights take. This function must count every tensor
// that load_device_weights() loads.
std::size_t memory_bytes(const ModelTensors& tensors) {
    std::size_t bytes = footprint({tensors.embedding}) + footprint({tensors.final_norm});
    if (tensors.lm_head != tensors.embedding) bytes += footprint({tensors.lm_head});
    for (const LayerTensors& layer : tensors.layers) {
        bytes += footprint({layer.input_norm}) + footprint({layer.post_norm});
        bytes += footprint({layer.q_proj, layer.k_proj, layer.v_proj}) + footprint({layer.o_proj});
        bytes += footprint({layer.gate_proj, layer.up_proj}) + footprint({layer.down_proj});
    }
    return bytes;
}

void check_free_memory(std::size_t needed) {
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes));
    if (needed <= free_bytes) return;
    throw ErrorException({errc::bad_configuration,
                          "the model's weights take " + std::to_string(needed >> 20) + " MiB, but only " +
                              std::to_string(free_bytes >> 20) + " MiB of the device's " +
                              std::to_string(total_bytes >> 20) + " MiB are free"});
}

class Loader {
  public:
    Loader(const WeightSource& source, std::uint64_t num_bytes, DType compute_type, std::byte* memory,
           const OnLoadProgress& on_progress)
        : source_(source),
          num_bytes_(num_bytes),
          compute_type_(compute_type),
          next_(memory),
          on_progress_(on_progress) {}

    // Loads the parts one after another into memory, so that all their rows form one row-major matrix.
    // Returns the address of this matrix.
    const void* load(Parts parts) {
        std::byte* const begin = next_;
        std::byte* out = begin;
        for (const TensorInfo* part : parts) {
            load_tensor(*part, out);
            out += bytes_of(*part);
        }
        next_ = begin + footprint(parts);
        return begin;
    }

    void wait() const { stream_.synchronize(); }

  private:
    struct Piece {
        PinnedBuffer<std::byte> host{piece_bytes};
        Event copied;
    };

    void load_tensor(const TensorInfo& tensor, std::byte* out) {
        for (std::uint64_t begin = 0; begin < tensor.num_bytes; begin += piece_bytes) {
            Piece& piece = pieces_[turn_];
            turn_ = 1 - turn_;
            piece.copied.synchronize();
            const std::size_t size = std::min<std::uint64_t>(piece_bytes, tensor.num_bytes - begin);
            read_weights(source_, tensor, begin, compute_type_, {piece.host.data(), size}).value();
            copy(piece, size, tensor.dtype, out + begin / size_of(tensor.dtype) * sizeof(std::uint16_t));
            piece.copied.record(stream_);
            done_ += size;
            if (on_progress_) on_progress_(done_, num_bytes_);
        }
    }

    void copy(Piece& piece, std::size_t size, DType type, std::byte* out) {
        std::byte* const target = type == compute_type_ ? out : conversion_scratch();
        check(cudaMemcpyAsync(target, piece.host.data(), size, cudaMemcpyHostToDevice, stream_.get()));
        if (type == compute_type_) return;
        convert({.in = target,
                 .out = out,
                 .count = static_cast<std::int64_t>(size / size_of(type)),
                 .from = type,
                 .to = compute_type_},
                stream_.get());
    }

    // Returns device memory for one piece that is not in the compute type. The memory is allocated at the
    // first use. The stream executes in order, so a piece is converted before the next piece overwrites it.
    std::byte* conversion_scratch() {
        if (scratch_.size() == 0) scratch_ = DeviceBuffer<std::byte>(piece_bytes);
        return scratch_.data();
    }

    const WeightSource& source_;
    std::uint64_t num_bytes_;  // of all tensors
    DType compute_type_;
    std::byte* next_;
    const OnLoadProgress& on_progress_;
    std::uint64_t done_ = 0;
    Stream stream_;
    std::array<Piece, 2> pieces_;
    std::size_t turn_ = 0;
    DeviceBuffer<std::byte> scratch_;
};

}  // namespace

DeviceWeights load_device_weights(const WeightSource& source, const ModelTensors& tensors, DType compute_type,
                                  const OnLoadProgress& on_progress) {
    DeviceWeights weights;
    const std::size_t needed = memory_bytes(tensors);
    check_free_memory(needed);
    weights.memory = DeviceBuffer<std::byte>(needed);
    Loader loader(source, tensors.num_bytes, compute_type, weights.memory.data(), on_progress);
    weights.embedding = loader.load({tensors.embedding});
    for (const LayerTensors& layer : tensors.layers) {
        // A list in braces is evaluated in order, and each call of load() takes the next place in memory.
        weights.layers.push_back({.input_norm = loader.load({layer.input_norm}),
                                  .qkv = loader.load({layer.q_proj, layer.k_proj, layer.v_proj}),
                                  .o = loader.load({layer.o_proj}),
                                  .post_norm = loader.load({layer.post_norm}),
                                  .gate_up = loader.load({layer.gate_proj, layer.up_proj}),
                                  .down = loader.load({layer.down_proj})});
    }
    weights.final_norm = loader.load({tensors.final_norm});
    const bool tied = tensors.lm_head == tensors.embedding;
    weights.lm_head = tied ? weights.embedding : loader.load({tensors.lm_head});
    loader.wait();
    return weights;
}

}  // namespace solard::cuda
