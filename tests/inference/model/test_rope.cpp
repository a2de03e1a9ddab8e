#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>

#include "inference/model/rope.hpp"

namespace solard {
namespace {

constexpr RopeScaling linear{.type = RopeScaling::Type::linear, .factor = 2.5};
constexpr RopeScaling llama3{.type = RopeScaling::Type::llama3,
                             .factor = 8,
                             .low_freq_factor = 1,
                             .high_freq_factor = 4,
                             .original_max_position_embeddings = 8192};

void check_close(double found, double expected) {
    BOOST_TEST(found == expected, boost::test_tools::tolerance(1e-12));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rope)

BOOST_AUTO_TEST_CASE(without_scaling_the_frequencies_are_powers_of_theta) {
    constexpr RopeScaling dynamic{.type = RopeScaling::Type::dynamic, .factor = 4};
    for (const RopeScaling& plain : {RopeScaling{}, dynamic}) {
        const auto frequencies = rope_frequencies(10000, 128, plain);
        BOOST_REQUIRE(frequencies.size() == 64U);
        // The very bits: the tables of unscaled models must not change.
        for (std::size_t i = 0; i < 64; ++i)
            BOOST_TEST(frequencies[i] == std::pow(10000.0, -static_cast<double>(i) / 64.0));
    }
}

BOOST_AUTO_TEST_CASE(linear_scaling_divides_every_frequency) {
    // [10000.0 ** (-2 * i / 8) / 2.5 for i in range(4)]
    const auto frequencies = rope_frequencies(10000, 8, linear);
    BOOST_REQUIRE(frequencies.size() == 4U);
    check_close(frequencies[0], 0.4);
    check_close(frequencies[1], 0.04);
    check_close(frequencies[2], 0.004);
    check_close(frequencies[3], 0.0004);
}

// The expected values are those of _compute_llama3_parameters of transformers in double precision, for theta
// 500000 and head_dim 128 as in Llama 3.1:
//   f = theta ** (-2 * i / 128); wavelen = 2 * pi / f; s = (8192 / wavelen - 1) / (4 - 1)
//   f / 8 if wavelen > 8192 / 1 else f if wavelen < 8192 / 4 else (1 - s) * f / 8 + s * f
BOOST_AUTO_TEST_CASE(llama3_scaling_slows_down_only_slow_planes) {
    const auto frequencies = rope_frequencies(500000, 128, llama3);
    BOOST_REQUIRE(frequencies.size() == 64U);
    check_close(frequencies[0], 1);
    check_close(frequencies[1], 0.8146172338565447);
    check_close(frequencies[28], 0.0032114459947525913);  // the last plane that keeps its frequency
    check_close(frequencies[29], 0.002166570763503359);
    check_close(frequencies[31], 0.0008567514129196321);
    check_close(frequencies[34], 0.00017850781276799638);
    check_close(frequencies[35], 9.556212353964683e-05);  // the first plane that is divided by the factor
    check_close(frequencies[63], 3.068925988914511e-07);
}

BOOST_AUTO_TEST_CASE(llama3_scaling_has_no_step_at_its_two_bounds) {
    // With theta 1, every plane has the frequency 1, whose number of periods in the context is context / 2
    // pi.
    const auto share_at = [](std::int32_t context) {
        RopeScaling scaling = llama3;
        scaling.original_max_position_embeddings = context;
        return rope_frequencies(1, 2, scaling).front();
    };
    check_close(share_at(6), 1.0 / 8);  // 0.955 periods
    check_close(share_at(26), 1);       // 4.138 periods
    // 7 / (2 * pi) = 1.114 periods and 25 / (2 * pi) = 3.979 periods:
    // s = (periods - 1) / 3; (1 - s) / 8 + s
    check_close(share_at(7), 0.15827467547928636);
    check_close(share_at(25), 0.9938381267117369);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
