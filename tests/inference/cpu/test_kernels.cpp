// Compares the CPU backend's arithmetic with plain references in double precision.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "inference/cpu/kernels.hpp"
#include "inference/cpu/ops.hpp"
#include "inference/cpu/packed_matrix.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/model/half.hpp"
#include "inference/sampling/exp_approx.hpp"
#include "tests/support/cpu_variants.hpp"

using namespace solard;

namespace {

// Sizes near the panel width, the row tiles and the depth of a pass.
constexpr std::size_t widths[] = {1, 15, 16, 17, 48, 100};
constexpr std::size_t depths[] = {1, 8, 17, 64, 250, 1100};
constexpr std::size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 33};

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

float rounded(DType type, float value) {
    return type == DType::bf16 ? rounded_to<DType::bf16>(value) : rounded_to<DType::fp16>(value);
}

// A packed matrix of values that the type represents exactly, and the same values unpacked.
struct Matrix {
    Matrix(DType type, std::size_t out_features, std::size_t in_features, unsigned seed)
        : plain(random_values(out_features * in_features, seed)),
          memory(PackedMatrix::elements_for(out_features, in_features)),
          packed{memory.data(), out_features, in_features} {
        for (float& value : plain) value = rounded(type, value);
        for (std::size_t panel = 0; panel < packed.num_panels(); ++panel) {
            const std::size_t first = panel * panel_width;
            pack_rows(reinterpret_cast<const std::byte*>(plain.data() + first * in_features),
                      std::min(panel_width, out_features - first), in_features, DType::fp32, type,
                      memory.data() + panel * packed.panel_stride());
        }
    }

    std::vector<float> plain;
    std::vector<std::uint16_t> memory;
    PackedMatrix packed;
};

void check_product(const Matrix& matrix, const std::vector<float>& x, std::size_t rows,
                   const std::vector<float>& y) {
    const std::size_t depth = matrix.packed.in_features;
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t n = 0; n < matrix.packed.out_features; ++n) {
            double expected = 0;
            double magnitude = 0;
            for (std::size_t k = 0; k < depth; ++k) {
                const double term = double{x[i * depth + k]} * double{matrix.plain[n * depth + k]};
                expected += term;
                magnitude += std::abs(term);
            }
            const double error = std::abs(double{y[i * matrix.packed.padded_out() + n]} - expected);
            // The error bound of a chain of `depth` additions in fp32.
            BOOST_REQUIRE_LE(error, magnitude * static_cast<double>(depth + 1) * 6e-8);
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu_kernels)

BOOST_AUTO_TEST_CASE(gemm_matches_double_precision_on_adversarial_shapes) {
    ThreadPool pool(2);
    for (const CpuVariant variant : cpu_variants) {
        const Kernels& kernels = choose_kernels(variant.type, variant.portable);
        for (const std::size_t n : widths) {
            for (const std::size_t depth : depths) {
                const Matrix matrix(variant.type, n, depth, static_cast<unsigned>(n * 1000 + depth));
                for (const std::size_t rows : row_counts) {
                    const auto x = random_values(rows * depth, static_cast<unsigned>(rows));
                    std::vector<float> y(rows * matrix.packed.padded_out(), not_a_number);
                    gemm(pool, kernels, matrix.packed, x.data(), rows, y.data());
                    check_product(matrix, x, rows, y);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(gemm_of_a_row_has_the_same_bits_alone_in_any_batch_and_on_any_thread_count) {
    constexpr std::size_t depth = 1100;
    constexpr std::size_t max_rows = 33;
    ThreadPool one(1);
    ThreadPool two(2);
    const auto x = random_values(max_rows * depth, 7);
    for (const CpuVariant variant : cpu_variants) {
        const Kernels& kernels = choose_kernels(variant.type, variant.portable);
        const Matrix matrix(variant.type, 300, depth, 8);
        const std::size_t width = matrix.packed.padded_out();
        std::vector<float> alone(max_rows * width);
        for (std::size_t row = 0; row < max_rows; ++row) {
            gemm(one, kernels, matrix.packed, x.data() + row * depth, 1, alone.data() + row * width);
        }
        std::vector<float> together(max_rows * width);
        for (ThreadPool* pool : {&one, &two}) {
            for (std::size_t rows = 2; rows <= max_rows; ++rows) {
                gemm(*pool, kernels, matrix.packed, x.data(), rows, together.data());
                BOOST_REQUIRE(
                    same_bits(std::span(alone).first(rows * width), std::span(together).first(rows * width)));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(embedding_rows_are_read_from_the_packed_matrix_unchanged) {
    for (const DType type : {DType::bf16, DType::fp16}) {
        const Matrix matrix(type, 37, 50, 3);
        std::vector<float> row(50);
        for (std::size_t i = 0; i < 37; ++i) {
            unpack_row(matrix.packed, type, i, row.data());
            BOOST_REQUIRE(same_bits(row, std::span(matrix.plain).subspan(i * 50, 50)));
        }
    }
}

BOOST_AUTO_TEST_CASE(bf16_rounds_to_nearest_even_and_keeps_special_values) {
    BOOST_TEST(bf16_from_float(1.0F) == 0x3f80);
    BOOST_TEST(bf16_from_float(-2.0F) == 0xc000);
    BOOST_TEST(bf16_from_float(1.0F + 0x1p-8F) == 0x3f80);                     // half way: down to even
    BOOST_TEST(bf16_from_float(1.0F + 0x1p-7F + 0x1p-8F) == 0x3f82);           // half way: up to even
    BOOST_TEST(bf16_from_float(1.0F + 0x1p-8F + 0x1p-20F) == 0x3f81);          // just above half way
    BOOST_TEST(bf16_from_float(std::numeric_limits<float>::max()) == 0x7f80);  // overflow to infinity
    BOOST_TEST(bf16_from_float(-infinity) == 0xff80);
    BOOST_TEST(bf16_from_float(0x1p-133F) == 0x0001);  // smallest subnormal
    BOOST_TEST(bf16_from_float(-0.0F) == 0x8000);
    BOOST_TEST(std::isnan(float_from_bf16(bf16_from_float(not_a_number))));
    BOOST_TEST(std::isnan(float_from_bf16(bf16_from_float(std::bit_cast<float>(0x7f800001U)))));
    for (std::uint32_t half = 0; half < 0x10000; ++half) {
        const float value = float_from_bf16(half);
        if (!std::isnan(value)) BOOST_REQUIRE_EQUAL(bf16_from_float(value), half);
    }
}

BOOST_AUTO_TEST_CASE(fp16_rounds_to_nearest_even_and_keeps_special_values) {
    BOOST_TEST(float_from_fp16(0x3c00) == 1.0F);
    BOOST_TEST(float_from_fp16(0x7bff) == 65504.0F);
    BOOST_TEST(float_from_fp16(0x0001) == 0x1p-24F);
    BOOST_TEST(float_from_fp16(0x83ff) == -1023 * 0x1p-24F);
    BOOST_TEST(float_from_fp16(0x0400) == 0x1p-14F);
    BOOST_TEST(float_from_fp16(0xfc00) == -infinity);
    BOOST_TEST(std::isnan(float_from_fp16(0x7e00)));
    BOOST_TEST(fp16_from_float(1.0F + 0x1p-11F) == 0x3c00);             // half way: down to even
    BOOST_TEST(fp16_from_float(1.0F + 0x1p-10F + 0x1p-11F) == 0x3c02);  // half way: up to even
    BOOST_TEST(fp16_from_float(1.0F + 0x1p-11F + 0x1p-20F) == 0x3c01);
    BOOST_TEST(fp16_from_float(65519.996F) == 0x7bff);
    BOOST_TEST(fp16_from_float(65520.0F) == 0x7c00);  // half way from 65504 to 65536: infinity
    BOOST_TEST(fp16_from_float(1e30F) == 0x7c00);
    BOOST_TEST(fp16_from_float(-infinity) == 0xfc00);
    BOOST_TEST(fp16_from_float(0x1p-25F) == 0x0000);  // half of the smallest subnormal: down to even zero
    BOOST_TEST(fp16_from_float(0x1p-25F + 0x1p-40F) == 0x0001);
    BOOST_TEST(fp16_from_float(-1.5F * 0x1p-24F) == 0x8002);     // subnormal, half way
    BOOST_TEST(fp16_from_float(0x1p-14F - 0x1p-26F) == 0x0400);  // rounds up into the normals
    BOOST_TEST(fp16_from_float(-0.0F) == 0x8000);
    BOOST_TEST(std::isnan(float_from_fp16(fp16_from_float(std::bit_cast<float>(0xff800001U)))));
    for (std::uint32_t half = 0; half < 0x10000; ++half) {
        const float value = float_from_fp16(half);
        if (!std::isnan(value)) BOOST_REQUIRE_EQUAL(fp16_from_float(value), half);
    }
}

// Every 16-bit value passes through each kernel as a weight, so that the conversion of every value is tested.
BOOST_AUTO_TEST_CASE(kernels_convert_every_16_bit_value_exactly) {
    std::vector<std::uint16_t> all(0x10000);
    for (std::size_t half = 0; half < all.size(); ++half) all[half] = static_cast<std::uint16_t>(half);
    const float one = 1.0F;
    std::vector<float> out(all.size());
    for (const CpuVariant variant : cpu_variants) {
        choose_kernels(variant.type, variant.portable)
            .gemm({.x = &one,
                   .x_stride = 1,
                   .rows = 1,
                   .panels = all.data(),
                   .panel_stride = panel_width,
                   .num_panels = all.size() / panel_width,
                   .depth = 1,
                   .y = out.data(),
                   .y_stride = all.size(),
                   .accumulate = false});
        for (std::uint32_t half = 0; half < all.size(); ++half) {
            const float value = variant.type == DType::bf16 ? float_from_bf16(half) : float_from_fp16(half);
            BOOST_REQUIRE(out[half] == value || (std::isnan(out[half]) && std::isnan(value)));
        }
    }
}

BOOST_AUTO_TEST_CASE(packing_converts_between_stored_and_compute_types) {
    const std::vector<float> values = {1.0F, -1.00390625F, 65504.0F, 3e38F, 0x1p-24F};
    for (const DType to : {DType::bf16, DType::fp16}) {
        std::vector<std::uint16_t> panel(values.size() * panel_width);
        pack_rows(reinterpret_cast<const std::byte*>(values.data()), 1, values.size(), DType::fp32, to,
                  panel.data());
        for (std::size_t k = 0; k < values.size(); ++k) {
            const float value = values[k];
            BOOST_TEST(panel[k * panel_width] ==
                       (to == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value)));
            BOOST_TEST(panel[k * panel_width + 1] == 0);  // other columns are not changed
        }
    }
    const std::uint16_t fp16_values[] = {0x3c01, 0x4000};  // bf16 has no 1 + 2^-10, but 2
    std::uint16_t panel[panel_width] = {7, 7, 7, 7};
    pack_rows(reinterpret_cast<const std::byte*>(fp16_values), 2, 1, DType::fp16, DType::bf16, panel + 1);
    BOOST_TEST((std::vector(panel, panel + 4) == std::vector<std::uint16_t>{7, 0x3f80, 0x4000, 7}));
}

BOOST_AUTO_TEST_CASE(exp_is_accurate_and_keeps_nan) {
    for (int hundredths = -8699; hundredths < 8799; ++hundredths) {
        const float x = static_cast<float>(hundredths) / 100;
        const double expected = std::exp(double{x});
        BOOST_REQUIRE_SMALL(double{exp_approx(x)} / expected - 1.0, 2.5e-7);
    }
    BOOST_TEST(exp_approx(0.0F) == 1.0F);
    BOOST_TEST(exp_approx(-infinity) == 0.0F);
    BOOST_TEST(exp_approx(1e9F) == infinity);
    BOOST_TEST(std::isnan(exp_approx(not_a_number)));
}

BOOST_AUTO_TEST_CASE(rms_norm_matches_its_formula) {
    ThreadPool pool(2);
    constexpr std::size_t rows = 5;
    constexpr std::size_t width = 1237;
    auto x = random_values(rows * width, 1);
    for (std::size_t j = 0; j < width; ++j) x[j] *= 1e-3F;  // a row for which epsilon matters
    const auto weight = random_values(width, 2);
    for (const DType type : {DType::bf16, DType::fp16}) {
        std::vector<float> out(rows * width);
        rms_norm(pool, type, x.data(), weight, 1e-5F, rows, out.data());
        for (std::size_t row = 0; row < rows; ++row) {
            double squares = 0;
            for (std::size_t j = 0; j < width; ++j) squares += std::pow(double{x[row * width + j]}, 2);
            const double factor = 1 / std::sqrt(squares / width + 1e-5);
            for (std::size_t j = 0; j < width; ++j) {
                const double exact = double{x[row * width + j]} * factor * double{weight[j]};
                const float value = out[row * width + j];
                BOOST_REQUIRE_SMALL(double{value} - exact, std::abs(exact) / 240 + 1e-7);
                BOOST_REQUIRE_EQUAL(value, rounded(type, value));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(swiglu_matches_its_formula) {
    ThreadPool pool(1);
    constexpr std::size_t width = 29;
    constexpr std::size_t stride = 64;
    auto gate_up = random_values(3 * stride, 4);
    gate_up[0] = -200;
    gate_up[1] = 200;
    std::vector<float> out(3 * width);
    swiglu(pool, DType::fp16, gate_up.data(), stride, width, 3, out.data());
    for (std::size_t row = 0; row < 3; ++row) {
        for (std::size_t j = 0; j < width; ++j) {
            const double gate = gate_up[row * stride + j];
            const double exact = gate / (1 + std::exp(-gate)) * double{gate_up[row * stride + width + j]};
            BOOST_REQUIRE_SMALL(double{out[row * width + j]} - exact, std::abs(exact) / 2000 + 1e-7);
        }
    }
}

BOOST_AUTO_TEST_CASE(rope_rotates_the_two_halves_as_planes) {
    constexpr std::size_t head_dim = 10;
    const RopeTable table(rope_frequencies(10000, head_dim, {}), 4096);
    const auto original = random_values(head_dim, 5);
    for (const std::size_t position : {0UL, 1UL, 77UL, 4095UL}) {
        auto head = original;
        table.rotate(head.data(), position);
        for (std::size_t i = 0; i < head_dim / 2; ++i) {
            const double angle =
                static_cast<double>(position) * std::pow(10000.0, -2.0 * static_cast<double>(i) / head_dim);
            const double a = original[i];
            const double b = original[i + head_dim / 2];
            BOOST_TEST(double{head[i]} == a * std::cos(angle) - b * std::sin(angle),
                       boost::test_tools::tolerance(1e-5));
            BOOST_TEST(double{head[i + head_dim / 2]} == b * std::cos(angle) + a * std::sin(angle),
                       boost::test_tools::tolerance(1e-5));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
