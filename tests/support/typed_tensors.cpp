#include "tests/support/typed_tensors.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "inference/model/half.hpp"

namespace solard {

std::vector<TensorData> random_tensors(const ModelConfig& config) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    std::vector<TensorData> tensors = llama_tensors(config, DType::fp32);
    for (TensorData& tensor : tensors) {
        const bool is_norm = tensor.shape.size() == 1;
        const float scale = is_norm ? 0.1F : 1 / std::sqrt(static_cast<float>(tensor.shape[1]));
        for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(float); ++i) {
            const float value = (is_norm ? 1.0F : 0.0F) + scale * normal(generator);
            set_element(tensor, i, std::bit_cast<std::uint32_t>(value));
        }
    }
    return tensors;
}

TensorData stored_as(DType type, const TensorData& tensor) {
    TensorData stored{tensor.name, type, tensor.shape, {}};
    const std::size_t count = tensor.bytes.size() / size_of(tensor.dtype);
    stored.bytes.resize(count * size_of(type));
    for (std::size_t i = 0; i < count; ++i) {
        float value = 0;
        with_dtype(tensor.dtype, [&]<DType from>() {
            value = load_as_float<from>(tensor.bytes.data() + i * size_of(from));
        });
        const std::uint32_t bits = type == DType::bf16   ? bf16_from_float(value)
                                   : type == DType::fp16 ? fp16_from_float(value)
                                                         : std::bit_cast<std::uint32_t>(value);
        set_element(stored, i, bits);
    }
    return stored;
}

void set_element(TensorData& tensor, std::size_t index, std::uint32_t bits) {
    const std::size_t size = size_of(tensor.dtype);
    std::memcpy(tensor.bytes.data() + index * size, &bits, size);
}

}  // namespace solard
