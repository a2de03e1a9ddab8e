// The contents of config.json and generation_config.json in the folder of a model with Llama's layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/model/generation_config.hpp"
#include "inference/model/rope.hpp"
#include "inference/token_id.hpp"

namespace solard {

enum class DType : std::uint8_t { bf16, fp16, fp32 };

// Returns the size of one element in bytes.
constexpr std::size_t size_of(DType type) {
    return type == DType::fp32 ? 4 : 2;
}
// Returns "bf16", "fp16" or "fp32".
std::string_view name_of(DType type);

struct ModelConfig {
    std::int32_t vocab_size = 0;
    std::int32_t hidden_size = 0;
    std::int32_t intermediate_size = 0;
    std::int32_t num_layers = 0;
    std::int32_t num_heads = 0;
    std::int32_t num_kv_heads = 0;  // divides num_heads
    std::int32_t head_dim = 0;      // from config.json; hidden_size / num_heads if it is absent there
    std::int32_t max_position_embeddings = 0;
    float rms_norm_eps = 0;
    double rope_theta = 10000;
    RopeScaling rope_scaling;
    // A token sees only itself and the tokens before it, so many in all; absent: all of them. The backends
    // compute full attention, which is the same up to this context length.
    std::optional<std::int32_t> sliding_window;
    bool tie_word_embeddings = false;

    TokenId bos_token_id = 1;
    std::vector<TokenId> eos_token_ids;  // from generation_config.json, else config.json; never empty
    GenerationConfig generation;

    // Returns the number of bytes that one token's 16-bit keys and values take in all layers.
    std::size_t kv_bytes_per_token() const {
        return std::size_t{2} * 2 * static_cast<std::size_t>(num_layers) *
               static_cast<std::size_t>(num_kv_heads) * static_cast<std::size_t>(head_dim);
    }
    // Returns the number of parameters of the whole model; tied embeddings count once.
    std::int64_t num_parameters() const;
};

// Reads and validates `folder`/config.json and, if it exists, generation_config.json. Errors: bad_model, with
// a message of one line that names the file, the key, its value and what was expected. What would need other
// arithmetic than Llama's is refused: see architecture.hpp and rope.hpp for what is computed.
result<ModelConfig> load_model_config(const std::filesystem::path& folder);

}  // namespace solard
