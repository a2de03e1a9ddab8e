// The exponential function of the samplers and of the CPU backend. It returns the same bits on every backend.
// It is inline so that the loops around it are vectorised, and constexpr so that device code may call it.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <numbers>

namespace solard {

// Returns e^x within 2 units in the last place; 0 below -87, infinity above 88; NaN for NaN.
constexpr float exp_approx(float x) {
    // e^x = 2^n e^r with an integer n and |r| <= ln(2) / 2. Adding 1.5 * 2^23 rounds x / ln(2) to the integer
    // n and leaves n in the low bits of the sum.
    const float shifted = x * std::numbers::log2e_v<float> + 12582912.0F;
    const float n = shifted - 12582912.0F;
    constexpr float ln2_high = 22713.0F / 32768;  // has few bits, so that n * ln2_high is exact
    constexpr auto ln2_low = static_cast<float>(std::numbers::ln2 - double{ln2_high});
    const float r = (x - n * ln2_high) - n * ln2_low;
    float series = 1.0F / 5040;
    series = series * r + 1.0F / 720;
    series = series * r + 1.0F / 120;
    series = series * r + 1.0F / 24;
    series = series * r + 1.0F / 6;
    series = series * r + 0.5F;
    series = series * r + 1.0F;
    series = series * r + 1.0F;
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) + 127;
    // The limits are applied last: if they came earlier, the compiler would make a branch of them and no
    // longer vectorise.
    float result = series * std::bit_cast<float>(exponent << 23);
    result = x < -87.0F ? 0.0F : result;
    return x > 88.0F ? std::numeric_limits<float>::infinity() : result;
}

}  // namespace solard
