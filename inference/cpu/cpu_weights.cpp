#include "inference/cpu/cpu_weights.hpp"

#include <algorithm>
#include <initializer_list>
#include <mutex>
#include <optional>

#include "inference/model/weight_reader.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

using Parts = std::initializer_list<const TensorInfo*>;

std::size_t rows_of(const TensorInfo& tensor) {
    return static_cast<std::size_t>(tensor.shape[0]);
}

std::size_t columns_of(const TensorInfo& tensor) {
    return static_cast<std::size_t>(tensor.shape[1]);
}

std::size_t rows_of(Parts parts) {
    std::size_t rows = 0;
    for (const TensorInfo* part : parts) rows += rows_of(*part);
    return rows;
}

// Returns the number of bytes that the loader will take from its arena. This function must count the same
// tensors that load_cpu_weights() loads.
std::size_t arena_bytes(const ModelTensors& tensors) {
    const auto matrix = [](Parts parts) {
        const std::size_t columns = columns_of(**parts.begin());
        return Arena::footprint<std::uint16_t>(PackedMatrix::elements_for(rows_of(parts), columns));
    };
    const auto vector = [](const TensorInfo* tensor) { return Arena::footprint<float>(rows_of(*tensor)); };

    std::size_t bytes = matrix({tensors.embedding}) + vector(tensors.final_norm);
    if (tensors.lm_head != tensors.embedding) bytes += matrix({tensors.lm_head});
    for (const LayerTensors& layer : tensors.layers) {
        bytes += vector(layer.input_norm) + vector(layer.post_norm);
        bytes += matrix({layer.q_proj, layer.k_proj, layer.v_proj}) + matrix({layer.o_proj});
        bytes += matrix({layer.gate_proj, layer.up_proj}) + matrix({layer.down_proj});
    }
    return bytes;
}

class Loader {
  public:
    Loader(const WeightSource& source, std::uint64_t num_bytes, DType compute_type, Arena& arena,
           ThreadPool& pool, const OnLoadProgress& on_progress)
        : source_(source),
          num_bytes_(num_bytes),
          compute_type_(compute_type),
          arena_(arena),
          pool_(pool),
          on_progress_(on_progress),
          staging_(count_of(pool.num_threads())) {}

    // Loads the parts as one matrix: first all rows of the first part, then all rows of the second part, and
    // so on.
    PackedMatrix matrix(Parts parts) {
        PackedMatrix packed{nullptr, rows_of(parts), columns_of(**parts.begin())};
        const auto memory =
            arena_.take<std::uint16_t>(PackedMatrix::elements_for(packed.out_features, packed.in_features));
        packed.data = memory.data();
        for (std::vector<std::byte>& staging : staging_)
            staging.resize(panel_width * packed.in_features * sizeof(float));
        pool_.parallel_for(packed.num_panels(), [&](std::size_t panel, int worker) {
            load_panel(parts, packed, panel, memory.data() + panel * packed.panel_stride(),
                       staging_[count_of(worker)]);
        });
        if (failure_) throw ErrorException(*failure_);
        for (const TensorInfo* part : parts) report(*part);
        return packed;
    }

    std::span<const float> vector(const TensorInfo& tensor) {
        const auto memory = arena_.take<float>(rows_of(tensor));
        std::vector<std::byte> bytes(tensor.num_bytes);
        read_weights(source_, tensor, 0, compute_type_, bytes).value();
        convert_to_float(bytes, tensor.dtype, compute_type_, memory);
        report(tensor);
        return memory;
    }

  private:
    // Loads one panel, whose memory is zeroed. A panel of a fused matrix may begin in one tensor and end in
    // the next, which may have another type.
    void load_panel(Parts parts, const PackedMatrix& packed, std::size_t panel, std::uint16_t* out,
                    std::span<std::byte> staging) {
        const std::size_t begin = panel * panel_width;
        const std::size_t end = std::min(begin + panel_width, packed.out_features);

        std::size_t first_row = 0;  // first row of the part in the whole matrix
        for (const TensorInfo* part : parts) {
            const std::size_t row_bytes = packed.in_features * size_of(part->dtype);
            const std::size_t from = std::max(begin, first_row);
            const std::size_t to = std::min(end, first_row + rows_of(*part));
            if (from < to) {
                const auto rows = staging.first((to - from) * row_bytes);
                if (!read(*part, (from - first_row) * row_bytes, rows)) return;
                pack_rows(rows.data(), to - from, packed.in_features, part->dtype, compute_type_,
                          out + (from - begin));
            }
            first_row += rows_of(*part);
        }
    }

    bool read(const TensorInfo& tensor, std::uint64_t begin, std::span<std::byte> out) {
        const auto outcome = read_weights(source_, tensor, begin, compute_type_, out);
        if (outcome) return true;
        const std::scoped_lock lock(failure_mutex_);
        if (!failure_) failure_ = outcome.error();
        return false;
    }

    void report(const TensorInfo& tensor) {
        done_ += tensor.num_bytes;
        if (on_progress_) on_progress_(done_, num_bytes_);
    }

    const WeightSource& source_;
    std::uint64_t num_bytes_;  // of all tensors
    DType compute_type_;
    Arena& arena_;
    ThreadPool& pool_;
    const OnLoadProgress& on_progress_;
    std::vector<std::vector<std::byte>> staging_;  // one per thread; holds 16 rows of any type
    std::mutex failure_mutex_;
    std::optional<Error> failure_;
    std::uint64_t done_ = 0;
};

}  // namespace

CpuWeights load_cpu_weights(const WeightSource& source, const ModelTensors& tensors, DType compute_type,
                            ThreadPool& pool, const OnLoadProgress& on_progress) {
    CpuWeights weights;
    weights.arena = std::make_unique<Arena>(arena_bytes(tensors));
    Loader loader(source, tensors.num_bytes, compute_type, *weights.arena, pool, on_progress);

    weights.embedding = loader.matrix({tensors.embedding});
    for (const LayerTensors& layer : tensors.layers) {
        weights.layers.push_back({.input_norm = loader.vector(*layer.input_norm),
                                  .qkv = loader.matrix({layer.q_proj, layer.k_proj, layer.v_proj}),
                                  .o = loader.matrix({layer.o_proj}),
                                  .post_norm = loader.vector(*layer.post_norm),
                                  .gate_up = loader.matrix({layer.gate_proj, layer.up_proj}),
                                  .down = loader.matrix({layer.down_proj})});
    }
    weights.final_norm = loader.vector(*tensors.final_norm);
    const bool tied = tensors.lm_head == tensors.embedding;
    weights.lm_head = tied ? weights.embedding : loader.matrix({tensors.lm_head});
    return weights;
}

}  // namespace solard
