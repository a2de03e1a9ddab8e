// Tensors of small models with values of any type, for tests of the conversion of weights.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/model_folder.hpp"

namespace solard {

// Returns every tensor of a Llama model in fp32, with random values that have all 24 bits.
std::vector<TensorData> random_tensors(const ModelConfig& config);
// Returns the tensor with its values rounded to the type.
TensorData stored_as(DType type, const TensorData& tensor);
// Sets one element of the tensor to a value that is given by its bits.
void set_element(TensorData& tensor, std::size_t index, std::uint32_t bits);

}  // namespace solard
