// Tests the elementwise kernels and the norm against the same computations in fp64, and the kernels that copy
// or convert.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>

#include "cuda/kernels.hpp"
#include "inference/sizes.hpp"
#include "tests/cuda/unit/device_arrays.hpp"
#include "tests/cuda/unit/device_library.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

const std::vector<DType> compute_types = {DType::bf16, DType::fp16};
const std::vector<std::int32_t> row_counts = {1, 7, 8, 9, 63, 64, 65};

std::vector<float> random_floats(std::size_t count, std::mt19937_64& random) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

// Returns the largest relative error of rounding to the type: half a unit in the last place.
double half_ulp(DType type) {
    return type == DType::bf16 ? 0x1p-8 : 0x1p-11;
}

// Checks that each value is the expected value, rounded once. `slack` allows for fp32 arithmetic before the
// rounding.
void check_rounded(DType type, const Halves& values, std::span<const double> expected, double slack = 2e-6) {
    BOOST_REQUIRE_EQUAL(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double magnitude = std::abs(expected[i]);
        const double tolerance = magnitude * half_ulp(type) + slack * (1 + magnitude);
        const double error = std::abs(float_of(type, values[i]) - expected[i]);
        if (!(error <= tolerance)) {
            BOOST_FAIL("element " << i << " is " << float_of(type, values[i]) << ", expected "
                                  << expected[i]);
        }
    }
}

BOOST_AUTO_TEST_SUITE(elementwise)

BOOST_DATA_TEST_CASE(embedding_copies_rows_of_the_table, data::make(compute_types) * data::make(row_counts),
                     type, rows) {
    std::mt19937_64 random(1);
    constexpr std::int32_t vocab = 97;
    constexpr std::int32_t hidden = 264;
    const Halves table = random_halves(type, vocab * hidden, random);
    std::vector<std::int32_t> tokens(count_of(rows));
    for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random() % vocab);
    tokens.front() = vocab - 1;
    const auto device_table = on_device(table);
    const auto device_tokens = on_device(tokens);
    DeviceBuffer<float> residual(count_of(rows) * hidden);
    embed(type,
          {.table = device_table.data(),
           .token_ids = device_tokens.data(),
           .residual = residual.data(),
           .num_tokens = rows,
           .hidden = hidden},
          nullptr);
    const std::vector<float> result = on_host(residual);
    for (std::size_t i = 0; i < result.size(); ++i) {
        const std::size_t source = count_of(tokens[i / hidden]) * hidden + i % hidden;
        BOOST_REQUIRE_EQUAL(result[i], float_of(type, table[source]));
    }
}

struct NormCase {
    std::vector<float> residual;
    Halves projected;
    Halves weight;
    std::int32_t rows;
    std::int32_t hidden;
    float eps = 1e-5F;

    NormCase(DType type, std::int32_t rows, std::int32_t hidden, std::uint64_t seed)
        : rows(rows), hidden(hidden) {
        std::mt19937_64 random(seed);
        residual = random_floats(count_of(rows * hidden), random);
        projected = random_halves(type, count_of(rows * hidden), random);
        weight = random_halves(type, count_of(hidden), random);
    }
    double sum(DType type, std::size_t i) const {
        return static_cast<double>(residual[i]) + float_of(type, projected[i]);
    }
    // Returns the expected values of row `row`. If `adds` is true, `projected` is added first.
    std::vector<double> expected(DType type, std::size_t row, bool adds) const {
        const std::size_t width = count_of(hidden);
        std::vector<double> x(width);
        double squares = 0;
        for (std::size_t i = 0; i < width; ++i) {
            x[i] = adds ? sum(type, row * width + i) : residual[row * width + i];
            squares += x[i] * x[i];
        }
        const double scale = 1 / std::sqrt(squares / hidden + eps);
        for (std::size_t i = 0; i < width; ++i) x[i] *= scale * float_of(type, weight[i]);
        return x;
    }
};

BOOST_DATA_TEST_CASE(norm_adds_and_normalizes, data::make(compute_types) * data::make(row_counts), type,
                     rows) {
    // The first size has fewer elements than a block has threads, the second size has an odd number of
    // 16-byte pieces, and the third size needs more than one pass of the block.
    for (const std::int32_t hidden : {8, 264, 4096}) {
        const NormCase made(type, rows, hidden, 2);
        auto residual = on_device(made.residual);
        const auto projected = on_device(made.projected);
        const auto weight = on_device(made.weight);
        DeviceBuffer<std::uint16_t> normed(made.projected.size());
        const auto run = [&](const void* added) {
            add_rms_norm(type,
                         {.residual = residual.data(),
                          .projected = added,
                          .rows = nullptr,
                          .weight = weight.data(),
                          .normed = normed.data(),
                          .num_rows = rows,
                          .hidden = hidden,
                          .eps = made.eps},
                         nullptr);
        };
        const auto check_normed = [&](bool adds) {
            std::vector<double> all;
            for (std::int32_t row = 0; row < rows; ++row) {
                const auto one = made.expected(type, count_of(row), adds);
                all.insert(all.end(), one.begin(), one.end());
            }
            check_rounded(type, on_host(normed), all);
        };
        run(nullptr);
        check_normed(false);
        BOOST_TEST(on_host(residual) == made.residual, boost::test_tools::per_element());
        run(projected.data());
        check_normed(true);
        const std::vector<float> updated = on_host(residual);
        for (std::size_t i = 0; i < updated.size(); ++i) {
            BOOST_REQUIRE_EQUAL(updated[i], made.residual[i] + float_of(type, made.projected[i]));
        }
    }
}

BOOST_DATA_TEST_CASE(norm_of_selected_rows_leaves_the_residual_unchanged, data::make(compute_types), type) {
    const NormCase made(type, 65, 264, 3);
    auto residual = on_device(made.residual);
    const auto projected = on_device(made.projected);
    const auto weight = on_device(made.weight);
    std::vector<std::int32_t> rows = {0, 3, 3, 3, 64};  // a row may occur several times
    for (std::int32_t row = 64; row >= 0; --row) rows.push_back(row);
    const auto device_rows = on_device(rows);
    DeviceBuffer<std::uint16_t> normed(rows.size() * count_of(made.hidden));
    add_rms_norm(type,
                 {.residual = residual.data(),
                  .projected = projected.data(),
                  .rows = device_rows.data(),
                  .weight = weight.data(),
                  .normed = normed.data(),
                  .num_rows = static_cast<std::int32_t>(rows.size()),
                  .hidden = made.hidden,
                  .eps = made.eps},
                 nullptr);
    std::vector<double> all;
    for (const std::int32_t row : rows) {
        const auto one = made.expected(type, count_of(row), true);
        all.insert(all.end(), one.begin(), one.end());
    }
    check_rounded(type, on_host(normed), all);
    BOOST_TEST(on_host(residual) == made.residual, boost::test_tools::per_element());
}

struct Heads {
    std::int32_t query;
    std::int32_t kv;
};
std::ostream& operator<<(std::ostream& out, Heads heads) {
    return out << heads.query << '/' << heads.kv;
}
const std::vector<Heads> head_counts = {{32, 8}, {8, 2}, {4, 4}, {7, 1}};

BOOST_DATA_TEST_CASE(rope_rotates_queries_in_place_and_keys_into_their_slots,
                     data::make(compute_types) * data::make(head_counts) * data::make(row_counts), type,
                     heads, rows) {
    std::mt19937_64 random(4);
    const std::int32_t head_dim = rows % 2 == 0 ? 64 : 128;
    constexpr std::int32_t num_blocks = 5;
    constexpr std::int32_t num_positions = 70;
    const std::int32_t half = head_dim / 2;
    const std::int32_t width = (heads.query + 2 * heads.kv) * head_dim;
    const KvShape kv{.num_kv_heads = heads.kv, .head_dim = head_dim};
    const Halves qkv = random_halves(type, count_of(rows * width), random);
    std::vector<float2> rope(count_of(num_positions * half));
    for (std::size_t i = 0; i < rope.size(); ++i) {
        const double angle = static_cast<double>(i / count_of(half)) *
                             std::pow(10000.0, -static_cast<double>(i % count_of(half)) / half);
        rope[i] = {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
    }
    std::vector<std::int32_t> positions(num_positions);
    std::vector<std::int32_t> slots(count_of(num_blocks * kv_block_size));
    std::iota(positions.begin(), positions.end(), 0);
    std::iota(slots.begin(), slots.end(), 0);
    std::ranges::shuffle(positions, random);
    std::ranges::shuffle(slots, random);
    positions.resize(count_of(rows));
    slots.resize(count_of(rows));
    const Halves cache_before =
        random_halves(type, count_of(num_blocks) * static_cast<std::size_t>(kv.block_elements()), random);
    auto device_qkv = on_device(qkv);
    auto cache = on_device(cache_before);
    const auto device_rope = on_device(rope);
    const auto device_positions = on_device(positions);
    const auto device_slots = on_device(slots);
    rope_append(type,
                {.qkv = device_qkv.data(),
                 .rope = device_rope.data(),
                 .positions = device_positions.data(),
                 .slot_mapping = device_slots.data(),
                 .layer_cache = cache.data(),
                 .kv = kv,
                 .num_heads = heads.query,
                 .num_tokens = rows},
                nullptr);

    std::vector<double> expected_qkv(qkv.size());
    std::vector<double> expected_cache(cache_before.size());
    for (std::size_t i = 0; i < qkv.size(); ++i) expected_qkv[i] = float_of(type, qkv[i]);
    for (std::size_t i = 0; i < cache_before.size(); ++i) expected_cache[i] = float_of(type, cache_before[i]);
    for (std::int32_t row = 0; row < rows; ++row) {
        for (std::int32_t head = 0; head < heads.query + 2 * heads.kv; ++head) {
            for (std::int32_t i = 0; i < half; ++i) {
                const std::size_t low = count_of(row * width + head * head_dim + i);
                const float2 angle = rope[count_of(positions[count_of(row)] * half + i)];
                double x = float_of(type, qkv[low]);
                double y = float_of(type, qkv[low + count_of(half)]);
                if (head < heads.query + heads.kv) {
                    const double rotated = angle.x * x - angle.y * y;
                    y = angle.x * y + angle.y * x;
                    x = rotated;
                }
                if (head < heads.query) {
                    expected_qkv[low] = x;
                    expected_qkv[low + count_of(half)] = y;
                    continue;
                }
                const bool is_value = head >= heads.query + heads.kv;
                const std::int32_t kv_head = head - heads.query - (is_value ? heads.kv : 0);
                const std::int32_t slot = slots[count_of(row)];
                const std::size_t at =
                    count_of(((((slot / kv_block_size) * 2 + is_value) * heads.kv + kv_head) * kv_block_size +
                              slot % kv_block_size) *
                                 head_dim +
                             i);
                expected_cache[at] = x;
                expected_cache[at + count_of(half)] = y;
            }
        }
    }
    check_rounded(type, on_host(device_qkv), expected_qkv);
    check_rounded(type, on_host(cache), expected_cache);
}

BOOST_AUTO_TEST_CASE(blocks_are_copied_in_every_layer) {
    std::mt19937_64 random(5);
    const KvShape kv{.num_kv_heads = 2, .head_dim = 64};
    constexpr std::size_t num_layers = 3;
    constexpr std::size_t num_blocks = 7;
    const auto block = static_cast<std::size_t>(kv.block_elements());
    const Halves before = random_halves(DType::bf16, num_layers * num_blocks * block, random);
    auto cache = on_device(before);
    const std::vector<BlockCopy> copies = {{6, 0}, {2, 5}, {2, 1}};  // one source is copied twice
    const auto device_copies = on_device(copies);
    copy_blocks({.cache = cache.data(),
                 .copies = device_copies.data(),
                 .num_copies = 3,
                 .num_layers = num_layers,
                 .num_blocks = num_blocks,
                 .block_bytes = static_cast<std::int64_t>(block * sizeof(std::uint16_t))},
                nullptr);
    Halves expected = before;
    for (std::size_t layer = 0; layer < num_layers; ++layer) {
        for (const BlockCopy& copy : copies) {
            const auto at = [&](std::int32_t index) {
                return static_cast<std::ptrdiff_t>((layer * num_blocks + count_of(index)) * block);
            };
            std::copy_n(before.begin() + at(copy.source), block, expected.begin() + at(copy.destination));
        }
    }
    BOOST_TEST(on_host(cache) == expected);
}

BOOST_DATA_TEST_CASE(swiglu_matches_its_formula, data::make(compute_types) * data::make(row_counts), type,
                     rows) {
    std::mt19937_64 random(6);
    for (const std::int32_t width : {8, 520, 2056}) {
        const Halves gate_up = random_halves(type, count_of(rows * 2 * width), random, 4);
        const auto device_in = on_device(gate_up);
        DeviceBuffer<std::uint16_t> out(count_of(rows * width));
        swiglu(
            type,
            {.gate_up = device_in.data(), .activated = out.data(), .num_tokens = rows, .intermediate = width},
            nullptr);
        std::vector<double> expected(out.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const std::size_t at = i / count_of(width) * 2 * count_of(width) + i % count_of(width);
            const double gate = float_of(type, gate_up[at]);
            expected[i] = gate / (1 + std::exp(-gate)) * float_of(type, gate_up[at + count_of(width)]);
        }
        check_rounded(type, on_host(out), expected);
    }
}

// --max-num-batched-tokens may be as large as `rows`, so a launch of this size must be valid. The emulator
// checks a launch when it is enqueued; the kernel itself runs only on a GPU.
BOOST_AUTO_TEST_CASE(launches_of_the_largest_step_are_accepted) {
    constexpr std::int32_t rows = 1 << 16;
    DeviceBuffer<std::uint16_t> in(std::size_t{16} * rows);
    check(cudaMemset(in.data(), 0, in.size_bytes()));
    DeviceBuffer<std::uint16_t> out(std::size_t{8} * rows);
    BOOST_CHECK_NO_THROW(swiglu(
        DType::bf16, {.gate_up = in.data(), .activated = out.data(), .num_tokens = rows, .intermediate = 8},
        nullptr));
    if (!device_is_emulated()) check(cudaDeviceSynchronize());
    forget_failures();
}

BOOST_AUTO_TEST_CASE(swiglu_of_very_negative_gate_is_zero_and_large_product_overflows_to_infinity) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    Halves gate_up(16);
    gate_up[0] = half_of(DType::fp16, -200);  // e^200 overflows fp32
    gate_up[8] = half_of(DType::fp16, 3);
    gate_up[1] = half_of(DType::fp16, 60000);
    gate_up[9] = half_of(DType::fp16, 2);
    const auto device_in = on_device(gate_up);
    DeviceBuffer<std::uint16_t> out(8);
    swiglu(DType::fp16,
           {.gate_up = device_in.data(), .activated = out.data(), .num_tokens = 1, .intermediate = 8},
           nullptr);
    const Halves result = on_host(out);
    BOOST_TEST(float_of(DType::fp16, result[0]) == 0);
    BOOST_TEST(float_of(DType::fp16, result[1]) == infinity);
}

BOOST_AUTO_TEST_CASE(conversion_rounds_as_the_cpu_backend_does) {
    std::mt19937_64 random(7);
    std::vector<float> values = random_floats(1001, random);
    const float specials[] = {
        0.0F, -0.0F, 65504, 65520, 1e-8F, 3e38F, std::numeric_limits<float>::infinity()};
    std::ranges::copy(specials, values.begin());
    const auto device_in = on_device(values);
    for (const DType to : compute_types) {
        DeviceBuffer<std::uint16_t> out(values.size());
        convert({.in = device_in.data(), .out = out.data(), .count = 1001, .from = DType::fp32, .to = to},
                nullptr);
        const Halves result = on_host(out);
        for (std::size_t i = 0; i < values.size(); ++i)
            BOOST_REQUIRE_EQUAL(result[i], half_of(to, values[i]));
    }
    const Halves halves = random_halves(DType::fp16, 777, random);
    const auto device_halves = on_device(halves);
    DeviceBuffer<std::uint16_t> out(halves.size());
    convert(
        {.in = device_halves.data(), .out = out.data(), .count = 777, .from = DType::fp16, .to = DType::bf16},
        nullptr);
    const Halves result = on_host(out);
    for (std::size_t i = 0; i < halves.size(); ++i) {
        BOOST_REQUIRE_EQUAL(result[i], half_of(DType::bf16, float_of(DType::fp16, halves[i])));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
