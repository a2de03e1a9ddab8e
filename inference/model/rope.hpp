// The rotary position embedding (RoPE): by which angle each plane of a head rotates from one position to the
// next.
#pragma once

#include <cstdint>
#include <vector>

namespace solard {

// How the rotation is slowed down, so that a model can use positions beyond those of its training.
struct RopeScaling {
    enum class Type : std::uint8_t {
        none,
        linear,   // every plane rotates `factor` times more slowly
        llama3,   // as `linear`, but only slow planes: those of Llama 3.1 and its successors
        dynamic,  // as `none` for contexts of up to the original length; longer ones are not supported
    };
    Type type = Type::none;
    double factor = 1;  // >= 1
    // Of llama3: 0 < low_freq_factor < high_freq_factor.
    double low_freq_factor = 1;
    double high_freq_factor = 4;
    // Of llama3 and dynamic: the context length of the training; 0 if it is not known, only for dynamic.
    std::int32_t original_max_position_embeddings = 0;

    bool operator==(const RopeScaling&) const = default;
};

// Returns the angle in radians by which each plane rotates per position, [head_dim / 2]. In Llama's form,
// plane i consists of the elements i and i + head_dim / 2 of a head, and rotates by theta^(-2i / head_dim)
// before scaling. With llama3, a plane whose period is longer than original / low_freq_factor rotates
// `factor` times more slowly, and one whose period is shorter than original / high_freq_factor rotates as
// before. Between the two, the angle changes linearly with the number of periods in the original context.
// Source: modeling_rope_utils.py of Hugging Face transformers.
std::vector<double> rope_frequencies(double theta, std::int32_t head_dim, const RopeScaling& scaling);

}  // namespace solard
