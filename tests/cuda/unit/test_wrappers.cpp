// Compares each wrapper of ptx.cuh with the definition in the PTX ISA, which these tests implement
// separately. If these tests also pass on a GPU, the emulated instructions do the same as the real ones.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "tests/cuda/unit/device_arrays.hpp"
#include "tests/cuda/unit/wrappers.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

BOOST_AUTO_TEST_SUITE(wrappers)

// ldmatrix: "thread i receives row i / 4, elements 2 * (i % 4) and 2 * (i % 4) + 1".
BOOST_DATA_TEST_CASE(ldmatrix_matches_the_isa, data::make({false, true}), transposed) {
    std::vector<std::uint16_t> matrices(256);
    std::iota(matrices.begin(), matrices.end(), std::uint16_t{100});
    const auto in = on_device(matrices);
    DeviceBuffer<std::uint32_t> registers(128);
    load_matrices({.matrices = in.data(), .registers = registers.data(), .transposed = transposed}, nullptr);
    const auto result = on_host(registers);
    for (std::size_t lane = 0; lane < 32; ++lane) {
        for (std::size_t matrix = 0; matrix < 4; ++matrix) {
            for (std::size_t half = 0; half < 2; ++half) {
                const std::size_t row = lane / 4;
                const std::size_t column = 2 * (lane % 4) + half;
                const std::size_t at = matrix * 64 + (transposed ? column * 8 + row : row * 8 + column);
                BOOST_TEST((result[lane * 4 + matrix] >> (16 * half) & 0xffff) == matrices[at]);
            }
        }
    }
}

BOOST_DATA_TEST_CASE(mma_matches_the_isa, data::make({DType::bf16, DType::fp16}), type) {
    std::mt19937_64 random(1);
    const Halves a = random_halves(type, 256, random);
    const Halves b = random_halves(type, 128, random);
    std::vector<float> d(128);
    std::iota(d.begin(), d.end(), -64.0F);
    const auto device_a = on_device(a);
    const auto device_b = on_device(b);
    auto device_d = on_device(d);
    multiply_tiles(type, {.a = device_a.data(), .b = device_b.data(), .d = device_d.data()}, nullptr);
    const auto result = on_host(device_d);
    for (std::size_t row = 0; row < 16; ++row) {
        for (std::size_t column = 0; column < 8; ++column) {
            double expected = d[row * 8 + column];
            for (std::size_t k = 0; k < 16; ++k) {
                expected +=
                    static_cast<double>(float_of(type, a[row * 16 + k])) * float_of(type, b[k * 8 + column]);
            }
            BOOST_TEST(result[row * 8 + column] == expected, boost::test_tools::tolerance(1e-4));
        }
    }
}

BOOST_AUTO_TEST_CASE(shuffles_and_ballot_match_the_isa) {
    std::vector<double> values(32);
    for (std::size_t i = 0; i < 32; ++i) values[i] = static_cast<double>(i * i % 37) + 0.25;
    const auto in = on_device(values);
    DeviceBuffer<double> from_lane(32);
    DeviceBuffer<double> by_xor(32);
    DeviceBuffer<double> up(32);
    DeviceBuffer<std::uint32_t> ballots(32);
    shuffle_values({.values = in.data(),
                    .from_lane = from_lane.data(),
                    .by_xor = by_xor.data(),
                    .up = up.data(),
                    .ballots = ballots.data(),
                    .mask = 5,
                    .delta = 3},
                   nullptr);
    std::uint32_t odd = 0;
    for (std::size_t i = 0; i < 32; ++i) odd |= static_cast<int>(values[i]) % 2 != 0 ? 1U << i : 0U;
    const auto from = on_host(from_lane);
    const auto exchanged = on_host(by_xor);
    const auto shifted = on_host(up);
    const auto votes = on_host(ballots);
    for (std::size_t i = 0; i < 32; ++i) {
        BOOST_TEST(from[i] == values[31 - i]);
        BOOST_TEST(exchanged[i] == values[i ^ 5]);
        BOOST_TEST(shifted[i] == values[i < 3 ? i : i - 3]);
        BOOST_TEST(votes[i] == odd);
    }
}

BOOST_AUTO_TEST_CASE(cp_async_copies_or_clears) {
    std::vector<std::uint32_t> values(256);
    std::iota(values.begin(), values.end(), 1U);
    std::vector<std::int32_t> valid(64);
    for (std::size_t i = 0; i < 64; ++i) valid[i] = i % 3 != 0;
    const auto in = on_device(values);
    const auto device_valid = on_device(valid);
    DeviceBuffer<std::uint32_t> out(256);
    copy_pieces({.in = in.data(), .valid = device_valid.data(), .out = out.data()}, nullptr);
    const auto result = on_host(out);
    for (std::size_t i = 0; i < 256; ++i) BOOST_TEST(result[i] == (i / 4 % 3 != 0 ? values[i] : 0U));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
