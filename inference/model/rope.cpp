#include "inference/model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace solard {
namespace {

// Returns the share of its own angle that a plane keeps under llama3; the rest is divided by the factor.
double kept_share(double frequency, const RopeScaling& scaling) {
    const double periods = scaling.original_max_position_embeddings * frequency / (2 * std::numbers::pi);
    const double share =
        (periods - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
    return std::clamp(share, 0.0, 1.0);
}

double scaled(double frequency, const RopeScaling& scaling) {
    switch (scaling.type) {
        case RopeScaling::Type::none:
        case RopeScaling::Type::dynamic:
            break;
        case RopeScaling::Type::linear:
            return frequency / scaling.factor;
        case RopeScaling::Type::llama3: {
            const double share = kept_share(frequency, scaling);
            return (1 - share) * frequency / scaling.factor + share * frequency;
        }
    }
    return frequency;
}

}  // namespace

std::vector<double> rope_frequencies(double theta, std::int32_t head_dim, const RopeScaling& scaling) {
    const std::int32_t half = head_dim / 2;
    std::vector<double> frequencies;
    for (std::int32_t plane = 0; plane < half; ++plane) {
        const double unscaled = std::pow(theta, -static_cast<double>(plane) / static_cast<double>(half));
        frequencies.push_back(scaled(unscaled, scaling));
    }
    return frequencies;
}

}  // namespace solard
