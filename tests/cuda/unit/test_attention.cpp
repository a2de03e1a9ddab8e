// Compares both attention kernels with fp64: the error is at most twice that of a plain implementation in the
// 16-bit type. Source of the rule: Dao-AILab/flash-attention, tests/test_flash_attn.py.
#include <algorithm>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <utility>

#include "cuda/attention_plan.hpp"
#include "cuda/kernels.hpp"
#include "inference/sizes.hpp"
#include "tests/cuda/unit/device_arrays.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

constexpr std::uint16_t poison = 0x7fff;  // NaN in both types
constexpr std::size_t num_blocks = 96;

struct Shape {
    std::int32_t num_heads;
    std::int32_t num_kv_heads;
    std::int32_t head_dim;
    std::int32_t group() const { return num_heads / num_kv_heads; }
};
std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    return out << shape.num_heads << '/' << shape.num_kv_heads << 'x' << shape.head_dim;
}

// The numbers of cached and new tokens of each sequence.
using Lengths = std::vector<std::pair<std::int32_t, std::int32_t>>;

// Sequences of random keys and values in shuffled blocks. Every element of the cache that belongs to no token
// is NaN.
struct AttentionCase {
    DType type;
    Shape shape;
    ForwardBatch batch;
    std::vector<Halves> keys;    // by sequence, [context, kv_heads, head_dim]
    std::vector<Halves> values;  // in the same layout as keys
    Halves qkv;                  // [tokens, (heads + 2 kv_heads) * head_dim]; its keys and values are NaN
    Halves cache;

    // deviation: the standard deviation of the queries, and so of the scores.
    AttentionCase(DType compute_type, const Shape& attention_shape, const Lengths& lengths,
                  float deviation = 1)
        : type(compute_type), shape(attention_shape) {
        std::mt19937_64 random(11);
        cache.assign(num_blocks * static_cast<std::size_t>(kv().block_elements()), poison);
        std::vector<std::int32_t> free_blocks(num_blocks);
        for (std::size_t i = 0; i < num_blocks; ++i) free_blocks[i] = static_cast<std::int32_t>(i);
        std::ranges::shuffle(free_blocks, random);
        batch.block_table_stride = 40;
        batch.cu_seqlens_q = {0};
        for (const auto& [cached, fresh] : lengths) add_sequence(cached + fresh, fresh, free_blocks, random);
        const std::size_t width = row_width();
        qkv = random_halves(type, batch.positions.size() * width, random, deviation);
        for (std::size_t i = 0; i < qkv.size(); ++i) {
            if (i % width >= count_of(shape.num_heads * shape.head_dim)) qkv[i] = poison;
        }
    }

    KvShape kv() const { return {.num_kv_heads = shape.num_kv_heads, .head_dim = shape.head_dim}; }
    std::size_t row_width() const {
        return count_of((shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim);
    }

    void add_sequence(std::int32_t context, std::int32_t fresh, std::vector<std::int32_t>& free_blocks,
                      std::mt19937_64& random) {
        const std::size_t width = count_of(shape.num_kv_heads * shape.head_dim);
        keys.push_back(random_halves(type, count_of(context) * width, random));
        values.push_back(random_halves(type, count_of(context) * width, random));
        std::vector<std::int32_t> table(count_of(batch.block_table_stride), -1);
        for (std::int32_t i = 0; i * kv_block_size < context; ++i) {
            table[count_of(i)] = free_blocks.back();
            free_blocks.pop_back();
        }
        for (std::int32_t position = 0; position < context; ++position) {
            const std::int32_t block = table[count_of(position / kv_block_size)];
            store(block, position % kv_block_size, 0, keys.back().data() + count_of(position) * width);
            store(block, position % kv_block_size, 1, values.back().data() + count_of(position) * width);
        }
        for (std::int32_t position = context - fresh; position < context; ++position) {
            batch.positions.push_back(position);
            batch.token_ids.push_back(0);
        }
        batch.cu_seqlens_q.push_back(batch.num_tokens());
        batch.context_lens.push_back(context);
        batch.block_tables.insert(batch.block_tables.end(), table.begin(), table.end());
    }

    void store(std::int32_t block, std::int32_t offset, std::int32_t kind, const std::uint16_t* row) {
        for (std::int32_t head = 0; head < shape.num_kv_heads; ++head) {
            const std::int32_t at =
                (((block * 2 + kind) * shape.num_kv_heads + head) * kv_block_size + offset) * shape.head_dim;
            std::copy_n(row + head * shape.head_dim, shape.head_dim, cache.begin() + at);
        }
    }

    // Says which values a reference rounds to the 16-bit type. none: no value. weights: the weights and the
    // output, like an implementation with fp32 scores. scores_and_weights: the scores, too, like an
    // implementation by two separate 16-bit products.
    enum class Rounding : std::uint8_t { none, weights, scores_and_weights };

    // Returns [tokens, heads * head_dim].
    std::vector<double> reference(Rounding rounding) const {
        std::vector<double> out;
        for (std::int32_t sequence = 0; sequence < batch.num_seqs(); ++sequence) {
            for (std::int32_t token = batch.cu_seqlens_q[count_of(sequence)];
                 token < batch.cu_seqlens_q[count_of(sequence) + 1]; ++token) {
                for (std::int32_t head = 0; head < shape.num_heads; ++head) {
                    append_row(out, count_of(sequence), token, head, rounding);
                }
            }
        }
        return out;
    }

    void append_row(std::vector<double>& out, std::size_t sequence, std::int32_t token, std::int32_t head,
                    Rounding rounding) const {
        const auto maybe_rounded = [&](double x) {
            return rounding == Rounding::none ? x : rounded(type, x);
        };
        const std::int32_t visible = batch.positions[count_of(token)] + 1;
        const std::size_t dim = count_of(shape.head_dim);
        const std::size_t stride = count_of(shape.num_kv_heads) * dim;
        const std::size_t first = count_of(head / shape.group()) * dim;
        const std::uint16_t* const q = qkv.data() + count_of(token) * row_width() + count_of(head) * dim;
        std::vector<double> weights;
        double largest = -std::numeric_limits<double>::infinity();
        for (std::int32_t key = 0; key < visible; ++key) {
            double score = 0;
            for (std::size_t i = 0; i < dim; ++i) {
                score += static_cast<double>(float_of(type, q[i])) *
                         float_of(type, keys[sequence][count_of(key) * stride + first + i]);
            }
            if (rounding == Rounding::scores_and_weights) score = rounded(type, score);
            weights.push_back(score / std::sqrt(shape.head_dim));
            largest = std::max(largest, weights.back());
        }
        double sum = 0;
        for (double& weight : weights) sum += weight = std::exp(weight - largest);
        for (double& weight : weights) weight = maybe_rounded(weight / sum);
        for (std::size_t i = 0; i < dim; ++i) {
            double value = 0;
            for (std::size_t key = 0; key < weights.size(); ++key) {
                value += weights[key] * float_of(type, values[sequence][key * stride + first + i]);
            }
            out.push_back(maybe_rounded(value));
        }
    }

    // Returns the output of the kernels. The rows of tokens that no kernel computes stay NaN.
    Halves run(bool one_kernel) const {
        AttentionPlan plan(shape.group(), batch.num_tokens(), batch.num_seqs(),
                           batch.block_table_stride * kv_block_size, one_kernel);
        plan.make(batch);
        const auto copy = []<class T>(std::span<const T> values) {
            return on_device(std::vector<T>(values.begin(), values.end()));
        };
        const auto device_qkv = on_device(qkv);
        const auto device_cache = on_device(cache);
        const auto tables = on_device(batch.block_tables);
        const auto prefill_tiles = copy(plan.prefill_tiles());
        const auto decode_tiles = copy(plan.decode_tiles());
        const auto splits = copy(plan.splits());
        const auto first_split = copy(plan.first_split());
        auto attended =
            on_device(Halves(batch.positions.size() * count_of(shape.num_heads * shape.head_dim), poison));
        const std::size_t parts = plan.splits().size() * count_of(shape.num_kv_heads * decode_tile_rows);
        DeviceBuffer<float> outputs(parts * count_of(shape.head_dim));
        DeviceBuffer<float2> states(parts);
        const AttentionArgs prefill{.qkv = device_qkv.data(),
                                    .layer_cache = device_cache.data(),
                                    .block_tables = tables.data(),
                                    .attended = attended.data(),
                                    .tiles = prefill_tiles.data(),
                                    .num_tiles = static_cast<std::int32_t>(prefill_tiles.size()),
                                    .block_table_stride = batch.block_table_stride,
                                    .num_heads = shape.num_heads,
                                    .kv = kv()};
        prefill_attention(type, prefill, nullptr);
        DecodeAttentionArgs decode{.attention = prefill,
                                   .splits = splits.data(),
                                   .first_split = first_split.data(),
                                   .partial_outputs = outputs.data(),
                                   .partial_states = states.data(),
                                   .num_splits = static_cast<std::int32_t>(splits.size())};
        decode.attention.tiles = decode_tiles.data();
        decode.attention.num_tiles = static_cast<std::int32_t>(decode_tiles.size());
        decode_attention(type, decode, nullptr);
        return on_host(attended);
    }

    void check(bool one_kernel, Rounding plainly = Rounding::scores_and_weights) const {
        const std::vector<double> exact = reference(Rounding::none);
        const std::vector<double> plain = reference(plainly);
        double plain_error = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) {
            plain_error = std::max(plain_error, std::abs(plain[i] - exact[i]));
        }
        const double error = max_error(type, run(one_kernel), exact);
        BOOST_TEST(error <= 2 * plain_error + 1e-5);
    }
};

const std::vector<DType> compute_types = {DType::bf16, DType::fp16};
const std::vector<Shape> shapes = {{32, 8, 128}, {8, 2, 64}, {4, 4, 64}, {4, 4, 128}, {7, 1, 64}};

BOOST_AUTO_TEST_SUITE(attention)

// The chunks begin at various positions, and their lengths are close to the length of a tile.
BOOST_DATA_TEST_CASE(prompts_match_fp64, data::make(compute_types) * data::make(shapes), type, shape) {
    AttentionCase(type, shape, {{0, 1}, {0, 7}, {0, 65}, {15, 9}, {1, 64}, {17, 8}, {100, 63}, {237, 63}})
        .check(false);
}

// Each sequence has one new token. The lengths of the contexts are close to the lengths of a KV block, of a
// warp's tile of keys, of a warp's part of a split, and of a split.
BOOST_DATA_TEST_CASE(decoded_tokens_match_fp64, data::make(compute_types) * data::make(shapes), type, shape) {
    AttentionCase(type, shape,
                  {{0, 1},
                   {14, 1},
                   {15, 1},
                   {16, 1},
                   {31, 1},
                   {32, 1},
                   {63, 1},
                   {64, 1},
                   {254, 1},
                   {255, 1},
                   {256, 1},
                   {299, 1}})
        .check(false);
}

// Each sequence has several rows. Later rows see keys that earlier rows do not see. In some sequences, a
// split ends between such keys.
BOOST_DATA_TEST_CASE(drafts_match_fp64,
                     data::make(compute_types) *
                         data::make(std::vector<Shape>{{32, 8, 128}, {8, 2, 64}, {4, 4, 64}}),
                     type, shape) {
    AttentionCase(type, shape, {{30, 4}, {254, 4}, {255, 2}, {510, 3}, {0, 4}}).check(false);
}

BOOST_DATA_TEST_CASE(prefill_kernel_can_compute_everything, data::make(compute_types) * data::make(shapes),
                     type, shape) {
    AttentionCase(type, shape, {{0, 1}, {255, 1}, {256, 4}, {40, 33}}).check(true);
}

// Scores are far larger in one tile or split than in another, so that e^(difference) exceeds the range of a
// float. Scores rounded to 16 bits would be useless here; the kernels keep scores in fp32.
BOOST_DATA_TEST_CASE(scores_that_differ_widely_match_fp64, data::make(compute_types), type) {
    AttentionCase(type, {8, 2, 64}, {{600, 1}, {500, 30}, {40, 3}}, 400)
        .check(false, AttentionCase::Rounding::weights);
}

// Deterministic mode relies on this property: the division of a prompt into chunks changes no bit of the
// output.
BOOST_DATA_TEST_CASE(prefill_kernel_returns_the_same_bits_for_any_chunks, data::make(compute_types), type) {
    const Shape shape{8, 2, 64};
    const std::size_t row = count_of(shape.num_heads * shape.head_dim);
    const AttentionCase whole(type, shape, {{0, 150}});
    const Halves expected = whole.run(true);
    for (const std::int32_t first : {1, 15, 16, 63, 64, 65, 149}) {
        // The same case, but only its last tokens are new.
        AttentionCase part = whole;
        part.batch.positions.erase(part.batch.positions.begin(), part.batch.positions.begin() + first);
        part.batch.token_ids.resize(part.batch.positions.size());
        part.batch.cu_seqlens_q = {0, 150 - first};
        part.qkv.erase(part.qkv.begin(),
                       part.qkv.begin() + static_cast<std::ptrdiff_t>(count_of(first) * whole.row_width()));
        const Halves tail(expected.begin() + static_cast<std::ptrdiff_t>(count_of(first) * row),
                          expected.end());
        BOOST_TEST(part.run(true) == tail);
    }
}

// A NaN in one sequence reaches the results of this sequence only.
BOOST_DATA_TEST_CASE(nan_affects_only_its_own_sequence, data::make({false, true}), one_kernel) {
    const Shape shape{8, 2, 64};
    AttentionCase made(DType::bf16, shape, {{40, 1}, {300, 1}, {10, 30}});
    const Halves expected = made.run(one_kernel);
    const std::int32_t block = made.batch.block_tables[count_of(made.batch.block_table_stride)];
    for (std::int32_t head = 0; head < 2; ++head) {
        made.cache[count_of((block * 4 + head) * kv_block_size * shape.head_dim)] =
            poison;  // the first element of a key
    }
    const Halves result = made.run(one_kernel);
    const std::size_t row = count_of(shape.num_heads * shape.head_dim);
    for (std::size_t i = 0; i < result.size(); ++i) {
        if (i / row == 1) {
            BOOST_REQUIRE(std::isnan(float_of(DType::bf16, result[i])));
        } else {
            BOOST_REQUIRE_EQUAL(result[i], expected[i]);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention_plan)

ForwardBatch batch_of(const Lengths& lengths) {
    ForwardBatch batch;
    batch.cu_seqlens_q = {0};
    for (const auto& [cached, fresh] : lengths) {
        batch.token_ids.resize(batch.token_ids.size() + count_of(fresh));
        batch.cu_seqlens_q.push_back(batch.num_tokens());
        batch.context_lens.push_back(cached + fresh);
    }
    return batch;
}

BOOST_AUTO_TEST_CASE(sequence_that_fits_sixteen_rows_uses_the_decode_kernel) {
    AttentionPlan plan(4, 64, 8, 4096, false);
    plan.make(batch_of({{511, 1}, {0, 4}, {252, 4}, {253, 4}, {10, 5}}));
    BOOST_TEST(plan.decode_tiles().size() == 4);
    BOOST_TEST(plan.prefill_tiles().size() == 1);
    const std::vector<std::int32_t> first_split = {0, 2, 3, 4, 6};
    BOOST_TEST(plan.first_split() == std::span(first_split), boost::test_tools::per_element());
    BOOST_TEST(plan.splits()[1].first_key == 256);
    BOOST_TEST(plan.prefill_tiles()[0].first_token == 13);
    BOOST_TEST(plan.prefill_tiles()[0].first_position == 10);
}

BOOST_AUTO_TEST_CASE(tiles_with_most_keys_come_first) {
    AttentionPlan plan(4, 512, 8, 4096, false);
    plan.make(batch_of({{0, 40}, {1000, 17}}));
    std::vector<std::int32_t> ends;
    for (const AttentionTile& tile : plan.prefill_tiles())
        ends.push_back(tile.first_position + tile.num_tokens);
    const std::vector<std::int32_t> expected = {1017, 1016, 40, 32, 16};
    BOOST_TEST(ends == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(largest_step_fits_the_reserved_memory) {
    for (const std::int32_t group : {1, 4, 7, 64}) {
        AttentionPlan plan(group, 512, 8, 4096, false);
        const std::size_t prefill = plan.max_prefill_tiles();
        const std::size_t splits = plan.max_splits();
        plan.make(batch_of({{3584, 505}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {4095, 1}}));
        plan.make(batch_of(
            {{4095, 1}, {4095, 1}, {4095, 1}, {4095, 1}, {4095, 1}, {4095, 1}, {4095, 1}, {4095, 1}}));
        BOOST_TEST(plan.max_prefill_tiles() == prefill);
        BOOST_TEST(plan.max_splits() == splits);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
