// Reads weights, and refuses values with which a model cannot compute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "inference/model/safetensors.hpp"

namespace solard {

// Returns the index of the first element that is NaN or infinite, or that becomes infinite when it is rounded
// to `compute_type`, which must be bf16 or fp16. `elements` are of type `stored`.
std::optional<std::size_t> find_unusable(std::span<const std::byte> elements, DType stored,
                                         DType compute_type);

// Fills `out` with bytes [begin, begin + out.size()) of the tensor, in the type in which they are stored. The
// range must consist of whole elements. May be called on any thread. Errors: those of WeightSource::read();
// bad_model if find_unusable() finds an element, with a message that names the tensor and the element.
result<void> read_weights(const WeightSource& source, const TensorInfo& tensor, std::uint64_t begin,
                          DType compute_type, std::span<std::byte> out);

// Converts elements of type `from` to the nearest values of type `to`, and returns these values as floats.
// `elements` must hold out.size() elements.
void convert_to_float(std::span<const std::byte> elements, DType from, DType to, std::span<float> out);

// Returns true if two tensors of the same shape have the same values after conversion to `type`. Reads both
// tensors piece by piece, up to the first difference.
result<bool> have_same_values(const WeightSource& source, const TensorInfo& left, const TensorInfo& right,
                              DType type);

}  // namespace solard
