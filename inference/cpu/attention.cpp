#include "inference/cpu/attention.hpp"

#include <algorithm>
#include <cmath>

#include "inference/cpu/ops.hpp"
#include "inference/model/half.hpp"
#include "inference/sizes.hpp"

namespace solard {
namespace {

constexpr auto block_size = count_of(kv_block_size);
static_assert(block_size == panel_width, "a block of keys is one panel");

// The number of rows (tokens times heads of a group) that are computed together: two full tiles of the GEMM
// kernel.
constexpr std::size_t rows_per_tile = 12;

std::uint16_t to_half(DType type, float value) {
    return static_cast<std::uint16_t>(type == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value));
}

template <DType type>
void normalise(const float* numerators, float sum, std::size_t count, float* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = rounded_to<type>(numerators[i] / sum);
}

}  // namespace

KvCache::KvCache(const AttentionShape& shape, std::size_t num_blocks)
    : shape_(shape), num_blocks_(num_blocks), arena_(shape.block_bytes() * num_blocks + block_size * 8) {
    const std::size_t elements = shape.num_layers * num_blocks * shape.num_kv_heads * shape.head_block();
    keys_ = arena_.take<std::uint16_t>(elements);
    values_ = arena_.take<std::uint16_t>(elements);
}

std::size_t KvCache::offset(std::size_t layer, std::size_t block, std::size_t head) const {
    return ((layer * num_blocks_ + block) * shape_.num_kv_heads + head) * shape_.head_block();
}

const std::uint16_t* KvCache::keys(std::size_t layer, std::size_t block, std::size_t head) const {
    return keys_.data() + offset(layer, block, head);
}

const std::uint16_t* KvCache::values(std::size_t layer, std::size_t block, std::size_t head) const {
    return values_.data() + offset(layer, block, head);
}

void KvCache::store(std::size_t layer, std::size_t slot, std::size_t head, const float* key,
                    const float* value) {
    const std::size_t begin = offset(layer, slot / block_size, head);
    const std::size_t column = slot % block_size;
    std::uint16_t* const keys = keys_.data() + begin + column;
    std::uint16_t* const values = values_.data() + begin + column * panel_width;
    for (std::size_t d = 0; d < shape_.head_dim; ++d) {
        keys[d * block_size] = to_half(shape_.type, key[d]);
        values[d / panel_width * block_size * panel_width + d % panel_width] = to_half(shape_.type, value[d]);
    }
}

void KvCache::copy_block(std::size_t source, std::size_t destination) {
    const std::size_t elements = shape_.num_kv_heads * shape_.head_block();
    for (std::size_t layer = 0; layer < shape_.num_layers; ++layer) {
        const std::size_t from = offset(layer, source, 0);
        const std::size_t to = offset(layer, destination, 0);
        std::ranges::copy(keys_.subspan(from, elements), keys_.begin() + static_cast<std::ptrdiff_t>(to));
        std::ranges::copy(values_.subspan(from, elements), values_.begin() + static_cast<std::ptrdiff_t>(to));
    }
}

struct Attention::Item {
    const KvCache* cache;
    std::size_t layer;
    std::size_t kv_head;
    const std::int32_t* block_table;
    const std::int32_t* positions;  // [num_tokens], ascending by one
    std::size_t num_tokens;
    const float* q;  // queries of the heads that share kv_head, from the first token on
    std::size_t q_stride;
    float* out;
    std::size_t out_stride;
    Scratch* scratch;

    std::size_t block(std::size_t index) const { return count_of(block_table[index]); }
};

Attention::Attention(const AttentionShape& shape, const GemmKernel& kernel, std::size_t max_tokens,
                     std::size_t max_context, int num_threads)
    : shape_(shape),
      kernel_(kernel),
      tokens_per_tile_(std::max<std::size_t>(1, rows_per_tile * shape.num_kv_heads / shape.num_heads)),
      padded_context_(round_up(max_context, block_size)) {
    tiles_.reserve(max_tokens);
    const std::size_t rows = tokens_per_tile_ * shape.num_heads / shape.num_kv_heads;
    scratch_.resize(count_of(num_threads));
    for (Scratch& scratch : scratch_) {
        scratch.queries.resize(rows * shape.head_dim);
        scratch.scores.resize(rows * padded_context_);
        scratch.output.resize(rows * shape.padded_dim());
        scratch.sums.resize(rows);
    }
}

void Attention::plan(const ForwardBatch& batch) {
    tiles_.clear();
    for (std::size_t sequence = 0; sequence < batch.context_lens.size(); ++sequence) {
        const auto begin = count_of(batch.cu_seqlens_q[sequence]);
        const auto end = count_of(batch.cu_seqlens_q[sequence + 1]);
        for (std::size_t token = begin; token < end; token += tokens_per_tile_) {
            tiles_.push_back({sequence, token, std::min(tokens_per_tile_, end - token)});
        }
    }
}

void Attention::run(ThreadPool& pool, const KvCache& cache, std::size_t layer, const ForwardBatch& batch,
                    const float* q, std::size_t q_stride, float* out) {
    const std::size_t out_stride = shape_.num_heads * shape_.head_dim;
    const std::size_t group_width = out_stride / shape_.num_kv_heads;
    const auto table_stride = count_of(batch.block_table_stride);
    pool.parallel_for(tiles_.size() * shape_.num_kv_heads, [&](std::size_t index, int worker) {
        const Tile& tile = tiles_[index / shape_.num_kv_heads];
        const std::size_t kv_head = index % shape_.num_kv_heads;
        run_item({.cache = &cache,
                  .layer = layer,
                  .kv_head = kv_head,
                  .block_table = batch.block_tables.data() + tile.sequence * table_stride,
                  .positions = batch.positions.data() + tile.first_token,
                  .num_tokens = tile.num_tokens,
                  .q = q + tile.first_token * q_stride + kv_head * group_width,
                  .q_stride = q_stride,
                  .out = out + tile.first_token * out_stride + kv_head * group_width,
                  .out_stride = out_stride,
                  .scratch = &scratch_[count_of(worker)]});
    });
}

void Attention::run_item(const Item& item) const {
    Scratch& scratch = *item.scratch;
    const std::size_t group = shape_.num_heads / shape_.num_kv_heads;
    const auto visible = [&](std::size_t token) { return count_of(item.positions[token]) + 1; };

    compute_scores(item, visible(item.num_tokens - 1));
    for (std::size_t row = 0; row < item.num_tokens * group; ++row) {
        float* const scores = scratch.scores.data() + row * padded_context_;
        scratch.sums[row] = softmax_numerators(scores, visible(row / group));
    }

    // First adds the values of the blocks that are completely visible to every token, then the values of the
    // rest of each token's context. Values after a token's context are left out instead of being multiplied
    // by zero, because they may be NaN.
    const std::size_t shared_blocks = visible(0) / block_size;
    for (std::size_t block = 0; block < shared_blocks; ++block) {
        add_values(item, block, 0, item.num_tokens * group, block_size);
    }
    for (std::size_t token = 0; token < item.num_tokens; ++token) {
        for (std::size_t block = shared_blocks; block * block_size < visible(token); ++block) {
            const std::size_t depth = std::min(block_size, visible(token) - block * block_size);
            add_values(item, block, token * group, group, depth);
        }
    }
    store_output(item);
}

void Attention::compute_scores(const Item& item, std::size_t longest) const {
    Scratch& scratch = *item.scratch;
    const std::size_t group_width = shape_.num_heads / shape_.num_kv_heads * shape_.head_dim;
    const float scale = 1.0F / std::sqrt(static_cast<float>(shape_.head_dim));
    for (std::size_t token = 0; token < item.num_tokens; ++token) {
        for (std::size_t d = 0; d < group_width; ++d) {
            scratch.queries[token * group_width + d] = item.q[token * item.q_stride + d] * scale;
        }
    }
    for (std::size_t block = 0; block * block_size < longest; ++block) {
        kernel_({.x = scratch.queries.data(),
                 .x_stride = shape_.head_dim,
                 .rows = item.num_tokens * group_width / shape_.head_dim,
                 .panels = item.cache->keys(item.layer, item.block(block), item.kv_head),
                 .panel_stride = 0,
                 .num_panels = 1,
                 .depth = shape_.head_dim,
                 .y = scratch.scores.data() + block * block_size,
                 .y_stride = padded_context_,
                 .accumulate = false});
    }
}

void Attention::add_values(const Item& item, std::size_t block, std::size_t first_row, std::size_t rows,
                           std::size_t depth) const {
    Scratch& scratch = *item.scratch;
    kernel_({.x = scratch.scores.data() + first_row * padded_context_ + block * block_size,
             .x_stride = padded_context_,
             .rows = rows,
             .panels = item.cache->values(item.layer, item.block(block), item.kv_head),
             .panel_stride = block_size * panel_width,
             .num_panels = shape_.padded_dim() / panel_width,
             .depth = depth,
             .y = scratch.output.data() + first_row * shape_.padded_dim(),
             .y_stride = shape_.padded_dim(),
             .accumulate = block > 0});
}

void Attention::store_output(const Item& item) const {
    const std::size_t group = shape_.num_heads / shape_.num_kv_heads;
    for (std::size_t row = 0; row < item.num_tokens * group; ++row) {
        const float* const from = item.scratch->output.data() + row * shape_.padded_dim();
        float* const to = item.out + row / group * item.out_stride + row % group * shape_.head_dim;
        if (shape_.type == DType::bf16) {
            normalise<DType::bf16>(from, item.scratch->sums[row], shape_.head_dim, to);
        } else {
            normalise<DType::fp16>(from, item.scratch->sums[row], shape_.head_dim, to);
        }
    }
}

}  // namespace solard
