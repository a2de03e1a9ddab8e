#include "tests/support/counting_model.hpp"

#include <cstring>
#include <stdexcept>

#include "inference/model/half.hpp"

namespace solard::counting {
namespace {

// Offsets in the residual stream. Every embedding has the value 1 at exactly two places and 0 elsewhere, so
// that all embeddings have the same norm.
constexpr std::int32_t number_at = 0;
constexpr std::int32_t owner_at = number_at + range;
constexpr std::int32_t found_at = owner_at + num_owners;  // the owner which attention has read
constexpr std::int32_t filler_at = found_at + num_owners;
constexpr std::int32_t hidden_size = 192;
constexpr std::int32_t head_dim = 64;

ModelConfig counting_config() {
    ModelConfig config;
    config.vocab_size = first_filler + num_fillers;
    config.hidden_size = hidden_size;
    config.intermediate_size = 32;
    config.num_layers = 1;
    config.num_heads = 1;
    config.num_kv_heads = 1;
    config.head_dim = head_dim;
    config.max_position_embeddings = 1024;
    config.rms_norm_eps = 1e-5F;
    config.rope_theta = 1e12;
    config.eos_token_ids = {first_filler};
    return config;
}

// Returns the dimension of the head that stands for `number` in queries and keys. The rotary embedding hardly
// rotates these dimensions.
std::int32_t key_place(std::int32_t number) {
    constexpr std::int32_t slow = 11;
    constexpr std::int32_t half = head_dim / 2;
    return number < half - slow ? slow + number : half + slow + number - (half - slow);
}

class Weights {
  public:
    explicit Weights(const ModelConfig& config) : tensors(llama_tensors(config, DType::bf16)) {}

    void set(std::string_view name, std::int64_t row, std::int64_t column, float value) {
        TensorData& tensor = find(name);
        const std::int64_t width = tensor.shape.size() == 1 ? 1 : tensor.shape[1];
        const auto half = static_cast<std::uint16_t>(bf16_from_float(value));
        std::memcpy(tensor.bytes.data() + 2 * (row * width + column), &half, sizeof half);
    }

    std::vector<TensorData> tensors;

  private:
    TensorData& find(std::string_view name) {
        for (TensorData& tensor : tensors) {
            if (tensor.name == name) return tensor;
        }
        throw std::invalid_argument(std::string(name));
    }
};

}  // namespace

const std::filesystem::path& write_model(const ModelFolder& folder) {
    const ModelConfig config = counting_config();
    Weights weights(config);
    const std::string layer = "model.layers.0.";
    for (const std::string& norm :
         {layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight",
          std::string("model.norm.weight")}) {
        for (std::int32_t i = 0; i < hidden_size; ++i) weights.set(norm, i, 0, 1);
    }
    for (std::int32_t number = 0; number < range; ++number) {
        weights.set(layer + "self_attn.k_proj.weight", key_place(number), number_at + number, 2);
        weights.set(layer + "self_attn.q_proj.weight", key_place((number + 1) % range), number_at + number,
                    2);
    }
    for (std::int32_t owner = 0; owner < num_owners; ++owner) {
        weights.set(layer + "self_attn.v_proj.weight", owner, owner_at + owner, 1);
        weights.set(layer + "self_attn.o_proj.weight", found_at + owner, owner, 0.125F);
        for (std::int32_t number = 0; number < range; ++number) {
            const TokenId token = owner * range + number;
            weights.set("model.embed_tokens.weight", token, number_at + number, 1);
            weights.set("model.embed_tokens.weight", token, owner_at + owner, 1);
            weights.set("lm_head.weight", token, number_at + (number + range - 1) % range, 1);
            weights.set("lm_head.weight", token, found_at + owner, 1);
        }
    }
    for (std::int32_t filler = 0; filler < num_fillers; ++filler) {
        weights.set("model.embed_tokens.weight", first_filler + filler, filler_at + filler, 1);
        weights.set("model.embed_tokens.weight", first_filler + filler, filler_at + num_fillers - 1 - filler,
                    1);
    }
    folder.write_text("config.json", config_json(config));
    folder.write_safetensors("model.safetensors", weights.tensors);
    return folder.path();
}

}  // namespace solard::counting
