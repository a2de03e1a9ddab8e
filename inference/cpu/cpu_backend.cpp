#include "inference/cpu/cpu_backend.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "inference/cpu/attention.hpp"
#include "inference/cpu/cpu_weights.hpp"
#include "inference/cpu/kernels.hpp"
#include "inference/cpu/ops.hpp"
#include "inference/cpu/packed_matrix.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/model/rope.hpp"
#include "inference/sampling/sampler.hpp"
#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {
namespace {

AttentionShape attention_shape(const ModelConfig& config, DType type) {
    return {.num_layers = count_of(config.num_layers),
            .num_heads = count_of(config.num_heads),
            .num_kv_heads = count_of(config.num_kv_heads),
            .head_dim = count_of(config.head_dim),
            .type = type};
}

// Returns the number of blocks that fit the budget. Throws if one sequence of full length does not fit.
std::size_t num_kv_blocks(const AttentionShape& shape, const CpuBackendOptions& options) {
    const std::size_t blocks = options.kv_cache_bytes / shape.block_bytes();
    const std::size_t needed = divide_up(count_of(options.max_model_len), std::size_t{kv_block_size});
    if (blocks >= needed) return blocks;
    throw ErrorException({errc::bad_configuration,
                          "--kv-cache-memory " + std::to_string(options.kv_cache_bytes) + " holds " +
                              std::to_string(blocks * kv_block_size) +
                              " tokens, fewer than --max-model-len " + std::to_string(options.max_model_len) +
                              "; a sequence of that length needs --kv-cache-memory of at least " +
                              std::to_string(needed * shape.block_bytes()) + " bytes"});
}

}  // namespace

struct CpuBackend::Impl {
    Impl(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& model,
         const CpuBackendOptions& requested);

    BackendCapacity capacity() const;
    void copy_blocks(const ForwardBatch& batch);
    void embed(const ForwardBatch& batch);
    void attend(const ForwardBatch& batch, std::size_t layer);
    void rotate_and_store(const ForwardBatch& batch, std::size_t layer);
    void feed_forward(const CpuLayer& layer);
    // Computes the logits of `count` <= max_seqs_per_step rows. token_of(row) is the index of the row's
    // token.
    template <class TokenOf>
    void compute_logits(std::size_t count, const TokenOf& token_of);
    void score(std::span<const ScoredToken> slice);
    // `masks` are the masks of the batch's rows, or nothing if no row has one.
    void sample(const ForwardBatch& batch, std::span<const std::uint32_t> masks);

    ModelConfig config;
    CpuBackendOptions options;
    AttentionShape shape;
    std::size_t hidden;
    std::size_t intermediate;
    std::size_t vocab;

    const Kernels& kernels;
    std::size_t num_blocks;
    ThreadPool pool;
    CpuWeights weights;
    KvCache cache;
    RopeTable rope;
    Attention attention;
    std::vector<Sampler> samplers;  // one per thread

    // Activations of one step. A projection's output rows are padded to whole panels.
    std::size_t num_tokens = 0;
    std::vector<float> residual;             // [tokens, hidden]
    std::vector<float> normed;               // [max(tokens, rows), hidden]
    std::vector<float> qkv;                  // [tokens, (heads + 2 kv_heads) * head_dim]
    std::vector<float> attended;             // [tokens, heads * head_dim]
    std::vector<float> gate_up;              // [tokens, 2 * intermediate]
    std::vector<float> activated;            // [tokens, intermediate]
    std::vector<float> projected;            // [tokens, hidden]
    std::vector<float> logits;               // [rows, vocab]
    std::vector<SampledToken> sampled;       // [rows]
    std::vector<TokenLogprob> top_logprobs;  // [rows, max_top_logprobs], or empty
    std::vector<RankedLogprob> scores;       // [num_scores]
    const ForwardBatch* waiting = nullptr;   // the batch of a step that waits for its masks
};

CpuBackend::Impl::Impl(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& model,
                       const CpuBackendOptions& requested)
    : config(model),
      options(requested),
      shape(attention_shape(model, requested.compute_type)),
      hidden(count_of(model.hidden_size)),
      intermediate(count_of(model.intermediate_size)),
      vocab(count_of(model.vocab_size)),
      kernels(choose_kernels(requested.compute_type, requested.force_portable)),
      num_blocks(num_kv_blocks(shape, requested)),
      pool(requested.num_threads),
      weights(load_cpu_weights(source, tensors, requested.compute_type, pool, requested.on_load_progress)),
      cache(shape, num_blocks),
      rope(rope_frequencies(model.rope_theta, model.head_dim, model.rope_scaling),
           count_of(requested.max_model_len)),
      attention(shape, kernels.gemm, count_of(requested.max_tokens_per_step),
                count_of(requested.max_model_len), requested.num_threads),
      samplers(count_of(requested.num_threads), Sampler(model.vocab_size)) {
    const std::size_t tokens = count_of(requested.max_tokens_per_step);
    const std::size_t rows = count_of(requested.max_seqs_per_step);
    const CpuLayer& layer = weights.layers.front();
    residual.resize(tokens * hidden);
    normed.resize(std::max(tokens, rows) * hidden);
    qkv.resize(tokens * layer.qkv.padded_out());
    attended.resize(tokens * layer.o.in_features);
    gate_up.resize(tokens * layer.gate_up.padded_out());
    activated.resize(tokens * intermediate);
    projected.resize(tokens * layer.o.padded_out());
    logits.resize(rows * weights.lm_head.padded_out());
    sampled.reserve(rows);
    top_logprobs.reserve(rows * max_top_logprobs);
    scores.reserve(tokens * (1 + max_top_logprobs));
}

BackendCapacity CpuBackend::Impl::capacity() const {
    return {.num_blocks = static_cast<std::int32_t>(num_blocks),
            .max_tokens_per_step = options.max_tokens_per_step,
            .max_seqs_per_step = options.max_seqs_per_step,
            .max_model_len = options.max_model_len};
}

void CpuBackend::Impl::copy_blocks(const ForwardBatch& batch) {
    pool.parallel_for(batch.block_copies.size(), [&](std::size_t index, int) {
        const BlockCopy& copy = batch.block_copies[index];
        cache.copy_block(count_of(copy.source), count_of(copy.destination));
    });
}

void CpuBackend::Impl::embed(const ForwardBatch& batch) {
    num_tokens = batch.token_ids.size();
    pool.parallel_for(num_tokens, [&](std::size_t token, int) {
        unpack_row(weights.embedding, options.compute_type, count_of(batch.token_ids[token]),
                   residual.data() + token * hidden);
    });
}

void CpuBackend::Impl::rotate_and_store(const ForwardBatch& batch, std::size_t layer) {
    const std::size_t stride = weights.layers[layer].qkv.padded_out();
    pool.parallel_for(num_tokens, [&](std::size_t token, int) {
        const std::size_t position = count_of(batch.positions[token]);
        float* const q = qkv.data() + token * stride;
        float* const k = q + shape.num_heads * shape.head_dim;
        const float* const v = k + shape.num_kv_heads * shape.head_dim;
        for (std::size_t head = 0; head < shape.num_heads + shape.num_kv_heads; ++head) {
            rope.rotate(q + head * shape.head_dim, position);
        }
        for (std::size_t head = 0; head < shape.num_kv_heads; ++head) {
            cache.store(layer, count_of(batch.slot_mapping[token]), head, k + head * shape.head_dim,
                        v + head * shape.head_dim);
        }
    });
}

void CpuBackend::Impl::attend(const ForwardBatch& batch, std::size_t index) {
    const CpuLayer& layer = weights.layers[index];
    rms_norm(pool, options.compute_type, residual.data(), layer.input_norm, config.rms_norm_eps, num_tokens,
             normed.data());
    gemm(pool, kernels, layer.qkv, normed.data(), num_tokens, qkv.data());
    rotate_and_store(batch, index);
    attention.run(pool, cache, index, batch, qkv.data(), layer.qkv.padded_out(), attended.data());
    gemm(pool, kernels, layer.o, attended.data(), num_tokens, projected.data());
    add_residual(pool, residual.data(), projected.data(), layer.o.padded_out(), hidden, num_tokens);
}

void CpuBackend::Impl::feed_forward(const CpuLayer& layer) {
    rms_norm(pool, options.compute_type, residual.data(), layer.post_norm, config.rms_norm_eps, num_tokens,
             normed.data());
    gemm(pool, kernels, layer.gate_up, normed.data(), num_tokens, gate_up.data());
    swiglu(pool, options.compute_type, gate_up.data(), layer.gate_up.padded_out(), intermediate, num_tokens,
           activated.data());
    gemm(pool, kernels, layer.down, activated.data(), num_tokens, projected.data());
    add_residual(pool, residual.data(), projected.data(), layer.down.padded_out(), hidden, num_tokens);
}

template <class TokenOf>
void CpuBackend::Impl::compute_logits(std::size_t count, const TokenOf& token_of) {
    for (std::size_t row = 0; row < count; ++row) {
        rms_norm_row(options.compute_type, residual.data() + count_of(token_of(row)) * hidden,
                     weights.final_norm, config.rms_norm_eps, normed.data() + row * hidden);
    }
    gemm(pool, kernels, weights.lm_head, normed.data(), count, logits.data());
    const std::size_t stride = weights.lm_head.padded_out();
    for (std::size_t row = 1; row < count && stride != vocab; ++row) {
        std::memmove(logits.data() + row * vocab, logits.data() + row * stride, vocab * sizeof(float));
    }
}

void CpuBackend::Impl::score(std::span<const ScoredToken> slice) {
    compute_logits(slice.size(), [&](std::size_t row) { return slice[row].row; });
    pool.parallel_for(slice.size(), [&](std::size_t row, int worker) {
        const ScoredToken& scored = slice[row];
        const std::span<const float> row_logits(logits.data() + row * vocab, vocab);
        const auto own =
            std::span(scores).subspan(count_of(scored.first_score), count_of(1 + scored.num_alternatives));
        samplers[count_of(worker)].score(row_logits, scored.token, own);
    });
}

void CpuBackend::Impl::sample(const ForwardBatch& batch, std::span<const std::uint32_t> masks) {
    const std::size_t words = mask_words(config.vocab_size);
    constexpr auto width = count_of(max_top_logprobs);
    const bool wants_top = std::ranges::any_of(
        batch.sampling, [](const SamplingRow& row) { return row.params.num_logprobs >= 0; });
    sampled.resize(batch.sampling.size());
    top_logprobs.assign(wants_top ? sampled.size() * width : 0, {});
    pool.parallel_for(sampled.size(), [&](std::size_t row, int worker) {
        const std::span<const float> row_logits(logits.data() + row * vocab, vocab);
        std::span<TokenLogprob> top;
        if (wants_top) top = std::span(top_logprobs).subspan(row * width, width);
        std::span<const std::uint32_t> mask;
        if (const std::int32_t index = batch.sampling[row].mask; index >= 0)
            mask = masks.subspan(count_of(index) * words, words);
        sampled[row] = samplers[count_of(worker)].sample(row_logits, batch.sampling[row], top, mask);
    });
}

CpuBackend::CpuBackend(const WeightSource& source, const ModelTensors& tensors, const ModelConfig& config,
                       const CpuBackendOptions& options)
    : impl_(std::make_unique<Impl>(source, tensors, config, options)) {}

CpuBackend::~CpuBackend() = default;

BackendCapacity CpuBackend::capacity() const {
    return impl_->capacity();
}

std::string CpuBackend::description() const {
    const int threads = impl_->options.num_threads;
    return std::string("cpu (") + impl_->kernels.name + ", " + std::to_string(threads) +
           (threads == 1 ? " thread, " : " threads, ") + std::string(name_of(impl_->options.compute_type)) +
           ")";
}

// Computes the whole step before it returns. On a CPU, doing other work during a step would save no time.
void CpuBackend::submit(const ForwardBatch& batch) {
    Impl& impl = *impl_;
    check_batch(batch, impl.capacity(), impl.config.vocab_size);
    impl.copy_blocks(batch);
    impl.embed(batch);
    impl.attention.plan(batch);
    for (std::size_t layer = 0; layer < impl.weights.layers.size(); ++layer) {
        impl.attend(batch, layer);
        impl.feed_forward(impl.weights.layers[layer]);
        progress_.fetch_add(1, std::memory_order_relaxed);
    }
    impl.scores.resize(count_of(batch.num_scores()));
    const std::span<const ScoredToken> scored = batch.scored_tokens;
    const std::size_t rows = count_of(impl.options.max_seqs_per_step);
    for (std::size_t begin = 0; begin < scored.size(); begin += rows) {
        impl.score(scored.subspan(begin, std::min(rows, scored.size() - begin)));
        progress_.fetch_add(1, std::memory_order_relaxed);
    }
    impl.compute_logits(batch.logits_rows.size(), [&](std::size_t row) { return batch.logits_rows[row]; });
    if (batch.num_masks == 0) {
        impl.sample(batch, {});
    } else {
        impl.waiting = &batch;
    }
}

void CpuBackend::sample(std::span<const std::uint32_t> masks) {
    const ForwardBatch* const batch = std::exchange(impl_->waiting, nullptr);
    if (batch == nullptr) throw std::logic_error("no step waits for masks");
    check_masks(*batch, masks, impl_->config.vocab_size);
    impl_->sample(*batch, masks);
}

void CpuBackend::collect(StepResults& results) {
    // Reserves room for the largest possible step, so that later steps do not allocate memory.
    results.rows.reserve(impl_->sampled.capacity());
    results.top_logprobs.reserve(impl_->top_logprobs.capacity());
    results.rows.assign(impl_->sampled.begin(), impl_->sampled.end());
    results.top_logprobs.assign(impl_->top_logprobs.begin(), impl_->top_logprobs.end());
    results.scores.reserve(impl_->scores.capacity());
    results.scores.assign(impl_->scores.begin(), impl_->scores.end());
}

std::span<const float> CpuBackend::logits() const {
    return {impl_->logits.data(), impl_->sampled.size() * impl_->vocab};
}

}  // namespace solard
