// Compares paged attention over ragged batches with a plain reference, and tests the thread pool.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "inference/cpu/attention.hpp"
#include "inference/cpu/kernels.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/model/half.hpp"
#include "tests/support/cpu_variants.hpp"

using namespace solard;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

float rounded(DType type, float value) {
    return type == DType::bf16 ? rounded_to<DType::bf16>(value) : rounded_to<DType::fp16>(value);
}

// Sequences of random keys and values in shuffled blocks. Every unused element of the cache is NaN.
struct AttentionCase {
    AttentionShape shape;
    std::size_t num_blocks = 64;
    KvCache cache;
    ForwardBatch batch;
    std::vector<std::vector<float>> keys;    // by sequence, [context, kv_heads, head_dim]
    std::vector<std::vector<float>> values;  // in the same layout as keys
    std::vector<float> q;

    // `lengths` are (cached tokens, new tokens) of each sequence.
    AttentionCase(const AttentionShape& attention_shape, const std::vector<std::pair<int, int>>& lengths)
        : shape(attention_shape), cache(attention_shape, num_blocks) {
        poison();
        std::vector<std::int32_t> free_blocks(num_blocks);
        for (std::size_t i = 0; i < num_blocks; ++i) free_blocks[i] = static_cast<std::int32_t>(i);
        std::shuffle(free_blocks.begin(), free_blocks.end(), std::mt19937(3));
        batch.block_table_stride = 8;
        batch.cu_seqlens_q = {0};
        for (const auto& [cached, fresh] : lengths) add_sequence(cached + fresh, fresh, free_blocks);
        q = random_values(batch.positions.size() * shape.num_heads * shape.head_dim, 9);
    }

    void poison() {
        const std::vector<float> poison(shape.head_dim, not_a_number);
        for (std::size_t slot = 0; slot < num_blocks * kv_block_size; ++slot) {
            for (std::size_t head = 0; head < shape.num_kv_heads; ++head) {
                cache.store(0, slot, head, poison.data(), poison.data());
            }
        }
    }

    void add_sequence(int context, int fresh, std::vector<std::int32_t>& free_blocks) {
        const std::size_t kv_width = shape.num_kv_heads * shape.head_dim;
        const auto seed = static_cast<unsigned>(keys.size());
        keys.push_back(random_values(static_cast<std::size_t>(context) * kv_width, 100 + seed));
        values.push_back(random_values(static_cast<std::size_t>(context) * kv_width, 200 + seed));
        std::vector<std::int32_t> table;
        for (int position = 0; position < context; ++position) {
            if (position % kv_block_size == 0) {
                table.push_back(free_blocks.back());
                free_blocks.pop_back();
            }
            for (std::size_t head = 0; head < shape.num_kv_heads; ++head) {
                const std::size_t at = static_cast<std::size_t>(position) * kv_width + head * shape.head_dim;
                const std::int32_t slot = table.back() * kv_block_size + position % kv_block_size;
                cache.store(0, static_cast<std::size_t>(slot), head, keys.back().data() + at,
                            values.back().data() + at);
            }
            if (position >= context - fresh) batch.positions.push_back(position);
        }
        table.resize(8, -1);
        batch.block_tables.insert(batch.block_tables.end(), table.begin(), table.end());
        batch.context_lens.push_back(context);
        batch.cu_seqlens_q.push_back(static_cast<std::int32_t>(batch.positions.size()));
    }

    std::vector<float> run(const Kernels& kernels, int threads) {
        ThreadPool pool(threads);
        Attention attention(shape, kernels.gemm, 64, 128, threads);
        attention.plan(batch);
        std::vector<float> out(q.size());
        attention.run(pool, cache, 0, batch, q.data(), shape.num_heads * shape.head_dim, out.data());
        return out;
    }

    // Returns the output of one token and head, computed in double precision.
    std::vector<double> reference(std::size_t sequence, std::size_t token, std::size_t head) const {
        const std::size_t kv_head = head / (shape.num_heads / shape.num_kv_heads);
        const std::size_t kv_width = shape.num_kv_heads * shape.head_dim;
        const auto visible = static_cast<std::size_t>(batch.positions[token]) + 1;
        const float* const query = q.data() + (token * shape.num_heads + head) * shape.head_dim;
        std::vector<double> weights(visible);
        double sum = 0;
        for (std::size_t t = 0; t < visible; ++t) {
            const float* const key = keys[sequence].data() + t * kv_width + kv_head * shape.head_dim;
            double score = 0;
            for (std::size_t d = 0; d < shape.head_dim; ++d) {
                score += double{query[d]} * double{rounded(shape.type, key[d])};
            }
            weights[t] = std::exp(score / std::sqrt(static_cast<double>(shape.head_dim)));
            sum += weights[t];
        }
        std::vector<double> out(shape.head_dim);
        for (std::size_t t = 0; t < visible; ++t) {
            const float* const value = values[sequence].data() + t * kv_width + kv_head * shape.head_dim;
            for (std::size_t d = 0; d < shape.head_dim; ++d) {
                out[d] += weights[t] / sum * double{rounded(shape.type, value[d])};
            }
        }
        return out;
    }
};

const std::vector<std::pair<int, int>> ragged_lengths = {{0, 40}, {33, 1}, {15, 1},
                                                         {16, 3}, {0, 1},  {47, 16}};

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu_attention)

BOOST_AUTO_TEST_CASE(ragged_paged_attention_matches_a_plain_reference) {
    for (const CpuVariant variant : cpu_variants) {
        for (const std::size_t head_dim : {2UL, 24UL, 64UL}) {
            for (const std::size_t kv_heads : {1UL, 2UL, 6UL}) {
                AttentionCase given({1, 6, kv_heads, head_dim, variant.type}, ragged_lengths);
                const auto out = given.run(choose_kernels(variant.type, variant.portable), 2);
                const double tolerance = variant.type == DType::bf16 ? 1.0 / 256 : 1.0 / 2048;
                for (std::size_t sequence = 0; sequence < ragged_lengths.size(); ++sequence) {
                    const auto begin = static_cast<std::size_t>(given.batch.cu_seqlens_q[sequence]);
                    const auto end = static_cast<std::size_t>(given.batch.cu_seqlens_q[sequence + 1]);
                    for (std::size_t token = begin; token < end; ++token) {
                        for (std::size_t head = 0; head < 6; ++head) {
                            const auto expected = given.reference(sequence, token, head);
                            for (std::size_t d = 0; d < head_dim; ++d) {
                                const double value = out[(token * 6 + head) * head_dim + d];
                                BOOST_REQUIRE_SMALL(value - expected[d],
                                                    std::abs(expected[d]) * tolerance + 1e-5);
                            }
                        }
                    }
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_thread_count_changes_no_bit) {
    for (const CpuVariant variant : cpu_variants) {
        AttentionCase given({1, 8, 2, 64, variant.type}, ragged_lengths);
        const Kernels& kernels = choose_kernels(variant.type, variant.portable);
        const auto one = given.run(kernels, 1);
        const auto three = given.run(kernels, 3);
        BOOST_TEST(same_bits(one, three));
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cpu_thread_pool)

BOOST_AUTO_TEST_CASE(every_item_runs_once_and_before_the_call_returns) {
    for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        for (int round = 0; round < 2000; ++round) {
            const auto count = static_cast<std::size_t>(round % 17);
            std::vector<int> runs(count, 0);
            pool.parallel_for(count, [&](std::size_t item, int worker) {
                if (worker >= 0 && worker < threads) ++runs[item];
            });
            BOOST_REQUIRE(runs == std::vector<int>(count, 1));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
