#include "cuda/cuda_backend.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

#include "cuda/attention_plan.hpp"
#include "cuda/device.hpp"
#include "cuda/device_sampler.hpp"
#include "cuda/device_scorer.hpp"
#include "cuda/gemm.hpp"
#include "cuda/kernels.hpp"
#include "cuda/staging.hpp"
#include "cuda/warm_up.hpp"
#include "inference/model/rope.hpp"
#include "inference/sizes.hpp"

namespace solard::cuda {
namespace {

// Refuses a model whose shape the kernels do not support.
void check_shape(const ModelConfig& config) {
    const auto refuse = [](const std::string& what) {
        throw ErrorException({errc::bad_model, "the CUDA backend cannot run this model: " + what});
    };
    if (config.head_dim != 64 && config.head_dim != 128)
        refuse("head_dim is " + std::to_string(config.head_dim) + ", expected 64 or 128");
    if (config.num_heads / config.num_kv_heads > prefill_tile_rows)
        refuse(std::to_string(config.num_heads / config.num_kv_heads) +
               " query heads share a KV head, expected at most " + std::to_string(prefill_tile_rows));
    if (config.vocab_size > (1 << 18))
        refuse("vocab_size is " + std::to_string(config.vocab_size) + ", expected at most 262144");
    if (config.hidden_size > max_hidden_size)
        refuse("hidden_size is " + std::to_string(config.hidden_size) + ", expected at most " +
               std::to_string(max_hidden_size));
    if (config.hidden_size % size_granularity != 0 || config.intermediate_size % size_granularity != 0)
        refuse("hidden_size is " + std::to_string(config.hidden_size) + " and intermediate_size is " +
               std::to_string(config.intermediate_size) + ", expected multiples of " +
               std::to_string(size_granularity));
}

DeviceWeights load_checked(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
                           const CudaBackendOptions& options) {
    check_shape(config);
    return load_device_weights(source, tensors, options.compute_type, options.on_load_progress);
}

// Returns the cosine and sine of every RoPE angle as an array [max_positions, head_dim / 2]. `frequencies` is
// [head_dim / 2]. Like the CPU backend, computes the angles in double.
DeviceBuffer<float2> make_rope(std::span<const double> frequencies, std::size_t max_positions,
                               const Stream& stream) {
    const std::size_t half = frequencies.size();
    std::vector<float2> table(max_positions * half);
    for (std::size_t i = 0; i < half; ++i) {
        for (std::size_t position = 0; position < max_positions; ++position) {
            const double angle = static_cast<double>(position) * frequencies[i];
            table[position * half + i] = {static_cast<float>(std::cos(angle)),
                                          static_cast<float>(std::sin(angle))};
        }
    }
    DeviceBuffer<float2> device(table.size());
    check(cudaMemcpyAsync(device.data(), table.data(), device.size_bytes(), cudaMemcpyHostToDevice,
                          stream.get()));
    stream.synchronize();
    return device;
}

// The ids of the model's matrix products.
struct Products {
    Gemm::Id qkv;
    Gemm::Id o;
    Gemm::Id gate_up;
    Gemm::Id down;
    Gemm::Id lm_head;
};

std::vector<const void*> of_all_layers(const DeviceWeights& weights, const void* DeviceLayer::* matrix) {
    std::vector<const void*> all;
    all.reserve(weights.layers.size());
    for (const DeviceLayer& layer : weights.layers) all.push_back(layer.*matrix);
    return all;
}

// The addresses in device memory of a step's inputs.
struct StepInputs {
    const std::int32_t* token_ids;
    const std::int32_t* positions;
    const std::int32_t* slot_mapping;
    const std::int32_t* block_tables;
    const std::int32_t* logits_rows;
    const BlockCopy* block_copies;
    const AttentionTile* prefill_tiles;
    const AttentionTile* decode_tiles;
    const DecodeSplit* splits;
    const std::int32_t* first_split;
};

}  // namespace

struct CudaBackend::Impl {
    Impl(DeviceWeights loaded, const ModelConfig& model, const CublasLt& library,
         const CudaBackendOptions& requested);

    std::size_t staging_bytes() const;
    void plan_products();
    void take_kv_memory();
    BackendCapacity capacity() const;

    void stage(const ForwardBatch& batch);
    void copy_blocks(const ForwardBatch& batch);
    void embed(const ForwardBatch& batch);
    void attend(const ForwardBatch& batch, std::size_t layer);
    void feed_forward(const ForwardBatch& batch, std::size_t layer);
    // Computes the logits of the tokens whose indices are in `rows`, [count <= max_seqs_per_step] on the
    // device.
    void compute_logits(const std::int32_t* rows, std::int32_t count);
    // Scores up to max_seqs_per_step of the step's scored tokens, from number `first` on.
    void score(std::int32_t first);
    // Chooses the tokens of the step, whose masks are there, and ends it.
    void sample();
    void normalize(const void* weight, const void* added, std::int32_t count,
                   const std::int32_t* rows = nullptr);

    std::byte* layer_cache(std::size_t layer) {
        return cache.data() + layer * count_of(num_blocks) * block_bytes();
    }
    // Returns the size in bytes of one KV block in one layer.
    std::size_t block_bytes() const {
        return static_cast<std::size_t>(kv.block_elements()) * sizeof(std::uint16_t);
    }
    AttentionArgs attention_args(const ForwardBatch& batch, std::size_t layer);

    ModelConfig config;
    CudaBackendOptions options;
    KvShape kv;
    std::int32_t qkv_size;       // (heads + 2 kv_heads) * head_dim
    std::int32_t logits_stride;  // in elements; every row starts at a multiple of 16 bytes

    Stream stream;
    Event finished;
    DeviceWeights weights;
    DeviceBuffer<float2> rope;
    AttentionPlan plan;
    DeviceSampler sampler;
    DeviceScorer scorer;
    Staging staging;
    StepInputs in{};
    std::int32_t num_rows = 0;              // of the last step
    const ForwardBatch* waiting = nullptr;  // the batch of a step that waits for its masks

    // Activations of one step. std::uint16_t stands for an element of the compute type.
    DeviceBuffer<float> residual;           // [tokens, hidden]
    DeviceBuffer<std::uint16_t> normed;     // [max(tokens, rows), hidden]
    DeviceBuffer<std::uint16_t> qkv;        // [tokens, qkv_size]
    DeviceBuffer<std::uint16_t> attended;   // [tokens, heads * head_dim]
    DeviceBuffer<std::uint16_t> gate_up;    // [tokens, 2 * intermediate]
    DeviceBuffer<std::uint16_t> activated;  // [tokens, intermediate]
    DeviceBuffer<std::uint16_t> projected;  // [tokens, hidden]
    DeviceBuffer<float> logits;             // [rows, logits_stride]
    DeviceBuffer<float> partial_outputs;    // [splits, kv_heads, 16, head_dim]
    DeviceBuffer<float2> partial_states;    // [splits, kv_heads, 16]

    Gemm gemm;
    Products products{};
    std::int32_t num_blocks = 0;
    DeviceBuffer<std::byte> cache;  // [layers, num_blocks, block]
};

CudaBackend::Impl::Impl(DeviceWeights loaded, const ModelConfig& model, const CublasLt& library,
                        const CudaBackendOptions& requested)
    : config(model),
      options(requested),
      kv{.num_kv_heads = model.num_kv_heads, .head_dim = model.head_dim},
      qkv_size((model.num_heads + 2 * model.num_kv_heads) * model.head_dim),
      logits_stride(round_up(model.vocab_size, 4)),
      weights(std::move(loaded)),
      rope(make_rope(rope_frequencies(model.rope_theta, model.head_dim, model.rope_scaling),
                     count_of(requested.max_model_len), stream)),
      plan(model.num_heads / model.num_kv_heads, requested.max_tokens_per_step, requested.max_seqs_per_step,
           requested.max_model_len, requested.deterministic),
      sampler(model.vocab_size, requested.max_seqs_per_step, requested.max_model_len, stream),
      scorer(model.vocab_size, requested.max_tokens_per_step),
      staging(staging_bytes()),
      gemm(library, requested.compute_type,
           std::max(requested.max_tokens_per_step, requested.max_seqs_per_step), requested.deterministic) {
    const std::size_t tokens = count_of(options.max_tokens_per_step);
    const std::size_t rows = count_of(options.max_seqs_per_step);
    const std::size_t hidden = count_of(config.hidden_size);
    const std::size_t intermediate = count_of(config.intermediate_size);
    const std::size_t part_rows = plan.max_splits() * count_of(config.num_kv_heads * decode_tile_rows);
    residual = DeviceBuffer<float>(tokens * hidden);
    normed = DeviceBuffer<std::uint16_t>(std::max(tokens, rows) * hidden);
    qkv = DeviceBuffer<std::uint16_t>(tokens * count_of(qkv_size));
    attended = DeviceBuffer<std::uint16_t>(tokens * count_of(config.num_heads * config.head_dim));
    gate_up = DeviceBuffer<std::uint16_t>(tokens * 2 * intermediate);
    activated = DeviceBuffer<std::uint16_t>(tokens * intermediate);
    projected = DeviceBuffer<std::uint16_t>(tokens * hidden);
    logits = DeviceBuffer<float>(rows * count_of(logits_stride));
    partial_outputs = DeviceBuffer<float>(part_rows * count_of(config.head_dim));
    partial_states = DeviceBuffer<float2>(part_rows);
    plan_products();
    take_kv_memory();
}

// Returns the largest number of bytes that one step's inputs take, with each piece rounded up to 16 bytes.
std::size_t CudaBackend::Impl::staging_bytes() const {
    const std::size_t tokens = count_of(options.max_tokens_per_step);
    const std::size_t rows = count_of(options.max_seqs_per_step);
    const std::size_t table = divide_up(count_of(options.max_model_len), std::size_t{kv_block_size});
    constexpr std::size_t num_pieces = 10;
    return (3 * tokens + rows * table + rows) * sizeof(std::int32_t) + rows * sizeof(BlockCopy) +
           (plan.max_prefill_tiles() + plan.max_decode_tiles()) * sizeof(AttentionTile) +
           plan.max_splits() * sizeof(DecodeSplit) + (rows + 1) * sizeof(std::int32_t) + num_pieces * 16 +
           sampler.staging_bytes() + scorer.staging_bytes();
}

void CudaBackend::Impl::plan_products() {
    const std::int32_t hidden = config.hidden_size;
    const auto add = [&](std::int32_t out, std::int32_t in_size, const void* DeviceLayer::* matrix) {
        return gemm.add({.n = out, .k = in_size, .out = options.compute_type, .out_stride = out},
                        of_all_layers(weights, matrix));
    };
    products.qkv = add(qkv_size, hidden, &DeviceLayer::qkv);
    products.o = add(hidden, config.num_heads * config.head_dim, &DeviceLayer::o);
    products.gate_up = add(2 * config.intermediate_size, hidden, &DeviceLayer::gate_up);
    products.down = add(hidden, config.intermediate_size, &DeviceLayer::down);
    products.lm_head =
        gemm.add({.n = config.vocab_size, .k = hidden, .out = DType::fp32, .out_stride = logits_stride},
                 {weights.lm_head});
    gemm.tune(stream);
}

// Makes KV blocks from the memory that gpu_memory_utilization allows and that is still unused. Must be called
// after everything else has been allocated. Only the code of our own kernels takes memory later, when
// warm_up() loads it.
void CudaBackend::Impl::take_kv_memory() {
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes));
    const auto allowed =
        static_cast<std::size_t>(options.gpu_memory_utilization * static_cast<double>(total_bytes));
    const std::size_t used = total_bytes - free_bytes;
    const std::size_t left = allowed > used ? allowed - used : 0;
    const std::size_t bytes_of_block = block_bytes() * count_of(config.num_layers);
    // A slot number must fit in std::int32_t.
    std::size_t blocks = std::min<std::size_t>(left / bytes_of_block, INT32_MAX / kv_block_size);
    if (options.max_blocks > 0) blocks = std::min(blocks, count_of(options.max_blocks));
    const std::size_t needed = divide_up(count_of(options.max_model_len), std::size_t{kv_block_size});
    if (blocks < needed) {
        throw ErrorException(
            {errc::bad_configuration,
             "--gpu-memory-utilization " + std::to_string(options.gpu_memory_utilization) + " leaves " +
                 std::to_string(left >> 20) + " MiB of the device for KV, which is room for " +
                 std::to_string(blocks * kv_block_size) + " tokens. --max-model-len is " +
                 std::to_string(options.max_model_len) + ", and a sequence of this length needs at least " +
                 std::to_string(divide_up(needed * bytes_of_block, std::size_t{1} << 20)) +
                 " MiB: raise --gpu-memory-utilization or lower --max-model-len"});
    }
    num_blocks = static_cast<std::int32_t>(blocks);
    cache = DeviceBuffer<std::byte>(blocks * bytes_of_block);
    // A copy of a block also reads slots that no token has filled yet, so every slot must be initialised.
    check(cudaMemsetAsync(cache.data(), 0, cache.size(), stream.get()));
}

BackendCapacity CudaBackend::Impl::capacity() const {
    return {.num_blocks = num_blocks,
            .max_tokens_per_step = options.max_tokens_per_step,
            .max_seqs_per_step = options.max_seqs_per_step,
            .max_model_len = options.max_model_len};
}

// Writes all inputs of a step into pinned memory, and enqueues one copy that brings them to the device.
void CudaBackend::Impl::stage(const ForwardBatch& batch) {
    plan.make(batch);
    staging.clear();
    const auto put = [&]<class T>(const T*& device, const auto& values) {
        device = staging.on_device(staging.copy<T>(values));
    };
    put(in.token_ids, batch.token_ids);
    put(in.positions, batch.positions);
    put(in.slot_mapping, batch.slot_mapping);
    put(in.block_tables, batch.block_tables);
    put(in.logits_rows, batch.logits_rows);
    put(in.block_copies, batch.block_copies);
    put(in.prefill_tiles, plan.prefill_tiles());
    put(in.decode_tiles, plan.decode_tiles());
    put(in.splits, plan.splits());
    put(in.first_split, plan.first_split());
    sampler.prepare(batch.sampling, staging);
    scorer.prepare(batch.scored_tokens, staging);
    staging.upload(stream);
}

void CudaBackend::Impl::copy_blocks(const ForwardBatch& batch) {
    cuda::copy_blocks({.cache = cache.data(),
                       .copies = in.block_copies,
                       .num_copies = static_cast<std::int32_t>(batch.block_copies.size()),
                       .num_layers = config.num_layers,
                       .num_blocks = num_blocks,
                       .block_bytes = static_cast<std::int64_t>(block_bytes())},
                      stream.get());
}

void CudaBackend::Impl::embed(const ForwardBatch& batch) {
    cuda::embed(options.compute_type,
                {.table = weights.embedding,
                 .token_ids = in.token_ids,
                 .residual = residual.data(),
                 .num_tokens = batch.num_tokens(),
                 .hidden = config.hidden_size},
                stream.get());
}

// Adds `added` to the residual and computes the norm of the sum. If `rows` is not null, computes the norm of
// only these rows of the sum, and leaves the residual as it is.
void CudaBackend::Impl::normalize(const void* weight, const void* added, std::int32_t count,
                                  const std::int32_t* rows) {
    add_rms_norm(options.compute_type,
                 {.residual = residual.data(),
                  .projected = added,
                  .rows = rows,
                  .weight = weight,
                  .normed = normed.data(),
                  .num_rows = count,
                  .hidden = config.hidden_size,
                  .eps = config.rms_norm_eps},
                 stream.get());
}

AttentionArgs CudaBackend::Impl::attention_args(const ForwardBatch& batch, std::size_t layer) {
    return {.qkv = qkv.data(),
            .layer_cache = layer_cache(layer),
            .block_tables = in.block_tables,
            .attended = attended.data(),
            .tiles = in.prefill_tiles,
            .num_tiles = static_cast<std::int32_t>(plan.prefill_tiles().size()),
            .block_table_stride = batch.block_table_stride,
            .num_heads = config.num_heads,
            .kv = kv};
}

void CudaBackend::Impl::attend(const ForwardBatch& batch, std::size_t layer) {
    const std::int32_t tokens = batch.num_tokens();
    const DeviceLayer& matrices = weights.layers[layer];
    // normalize() also adds the output of the previous layer to the residual.
    normalize(matrices.input_norm, layer == 0 ? nullptr : projected.data(), tokens);
    gemm.run(products.qkv, normed.data(), matrices.qkv, qkv.data(), tokens, stream);
    rope_append(options.compute_type,
                {.qkv = qkv.data(),
                 .rope = rope.data(),
                 .positions = in.positions,
                 .slot_mapping = in.slot_mapping,
                 .layer_cache = layer_cache(layer),
                 .kv = kv,
                 .num_heads = config.num_heads,
                 .num_tokens = tokens},
                stream.get());
    const AttentionArgs prefill = attention_args(batch, layer);
    prefill_attention(options.compute_type, prefill, stream.get());
    DecodeAttentionArgs decode{.attention = prefill,
                               .splits = in.splits,
                               .first_split = in.first_split,
                               .partial_outputs = partial_outputs.data(),
                               .partial_states = partial_states.data(),
                               .num_splits = static_cast<std::int32_t>(plan.splits().size())};
    decode.attention.tiles = in.decode_tiles;
    decode.attention.num_tiles = static_cast<std::int32_t>(plan.decode_tiles().size());
    decode_attention(options.compute_type, decode, stream.get());
    gemm.run(products.o, attended.data(), matrices.o, projected.data(), tokens, stream);
}

void CudaBackend::Impl::feed_forward(const ForwardBatch& batch, std::size_t layer) {
    const std::int32_t tokens = batch.num_tokens();
    const DeviceLayer& matrices = weights.layers[layer];
    normalize(matrices.post_norm, projected.data(), tokens);
    gemm.run(products.gate_up, normed.data(), matrices.gate_up, gate_up.data(), tokens, stream);
    swiglu(options.compute_type,
           {.gate_up = gate_up.data(),
            .activated = activated.data(),
            .num_tokens = tokens,
            .intermediate = config.intermediate_size},
           stream.get());
    gemm.run(products.down, activated.data(), matrices.down, projected.data(), tokens, stream);
}

void CudaBackend::Impl::compute_logits(const std::int32_t* rows, std::int32_t count) {
    normalize(weights.final_norm, projected.data(), count, rows);
    gemm.run(products.lm_head, normed.data(), weights.lm_head, logits.data(), count, stream);
}

void CudaBackend::Impl::score(std::int32_t first) {
    const std::int32_t count = std::min(options.max_seqs_per_step, scorer.num_tokens() - first);
    compute_logits(scorer.rows() + first, count);
    scorer.run(first, count, logits.data(), logits_stride, stream);
}

void CudaBackend::Impl::sample() {
    if (num_rows > 0) {
        sampler.run(logits.data(), logits_stride, stream);
        sampler.copy_back(stream);
    }
    finished.record(stream);
}

CudaBackend::CudaBackend(DeviceWeights weights, const ModelConfig& config, const CublasLt& library,
                         const CudaBackendOptions& options) {
    check_shape(config);
    impl_ = std::make_unique<Impl>(std::move(weights), config, library, options);
    warm_up(*this, config.vocab_size);
}

CudaBackend::CudaBackend(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
                         const CublasLt& library, const CudaBackendOptions& options)
    : CudaBackend(load_checked(source, tensors, config, options), config, library, options) {}

CudaBackend::~CudaBackend() = default;

BackendCapacity CudaBackend::capacity() const {
    return impl_->capacity();
}

std::string CudaBackend::description() const {
    cudaDeviceProp device{};
    check(cudaGetDeviceProperties(&device, 0));
    return "cuda (" + std::string(device.name) + ", " + std::string(name_of(impl_->options.compute_type)) +
           (impl_->options.deterministic ? ", deterministic" : "") + ", " + impl_->gemm.library_name() + ")";
}

void CudaBackend::submit(const ForwardBatch& batch) {
    Impl& impl = *impl_;
    check_batch(batch, impl.capacity(), impl.config.vocab_size);
    impl.stage(batch);
    impl.copy_blocks(batch);
    impl.embed(batch);
    for (std::size_t layer = 0; layer < impl.weights.layers.size(); ++layer) {
        impl.attend(batch, layer);
        impl.feed_forward(batch, layer);
        progress_.fetch_add(1, std::memory_order_relaxed);
    }
    for (std::int32_t first = 0; first < impl.scorer.num_tokens(); first += impl.options.max_seqs_per_step) {
        impl.score(first);
        progress_.fetch_add(1, std::memory_order_relaxed);
    }
    impl.scorer.copy_back(impl.stream);
    impl.num_rows = batch.num_rows();
    if (impl.num_rows > 0) impl.compute_logits(impl.in.logits_rows, impl.num_rows);
    if (batch.num_masks == 0) {
        impl.sample();
    } else {
        impl.waiting = &batch;
    }
}

void CudaBackend::sample(std::span<const std::uint32_t> masks) {
    const ForwardBatch* const batch = std::exchange(impl_->waiting, nullptr);
    if (batch == nullptr) throw std::logic_error("no step waits for masks");
    check_masks(*batch, masks, impl_->config.vocab_size);
    impl_->sampler.copy_masks(masks, impl_->stream);
    impl_->sample();
}

// If any work that precedes the event has failed, synchronize() throws. So a failed step returns no token.
void CudaBackend::collect(StepResults& results) {
    impl_->finished.synchronize();
    impl_->sampler.read(results);
    impl_->scorer.read(results);
}

std::vector<float> CudaBackend::logits() const {
    const auto vocab = count_of(impl_->config.vocab_size);
    std::vector<float> rows(count_of(impl_->num_rows) * vocab);
    check(cudaMemcpy2D(rows.data(), vocab * sizeof(float), impl_->logits.data(),
                       count_of(impl_->logits_stride) * sizeof(float), vocab * sizeof(float),
                       count_of(impl_->num_rows), cudaMemcpyDeviceToHost));
    return rows;
}

}  // namespace solard::cuda
