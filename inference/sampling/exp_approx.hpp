// The exponential of the sampler, the same bit for bit on every backend: inline, so that the loops around it
// are vectorised, and constexpr, so that device code may call it.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <numbers>

namespace solard {

// e^x within 2 units in the last place; 0 below -87, infinity above 88; NaN stays NaN.
constexpr float exp_approx(float x) {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits: e^x = 2^n e^r, |r| <= ln(2) / 2.
    const float shifted = x * std::numbers::log2e_v<float> + 12582912.0F;
    const float n = shifted - 12582912.0F;
    constexpr float ln2_high = 22713.0F / 32768;  // few bits, so that n * ln2_high is exact
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
    // Selected last: earlier, the compiler makes a branch of it and no longer vectorises.
    float result = series * std::bit_cast<float>(exponent << 23);
    result = x < -87.0F ? 0.0F : result;
    return x > 88.0F ? std::numeric_limits<float>::infinity() : result;
}

}  // namespace solard
