#include "inference/model/config.hpp"

#include <string>

#include "inference/model/architecture.hpp"
#include "inference/model/config_reader.hpp"
#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"
#include "inference/model/rope_config.hpp"

namespace solard {
namespace {

// These limits are far above any published model, and small enough that no product of sizes overflows 63
// bits.
constexpr std::int32_t max_vocab_size = 1 << 20;
constexpr std::int32_t max_hidden_size = 1 << 16;
constexpr std::int32_t max_intermediate_size = 1 << 18;
constexpr std::int32_t max_layers = 1 << 10;
constexpr std::int32_t max_heads = 1 << 10;
constexpr std::int32_t max_head_dim = 1 << 9;
constexpr std::int32_t max_positions = 1 << 24;

void read_sizes(ConfigReader& fields, ModelConfig& config) {
    config.vocab_size = fields.integer("vocab_size", 1, max_vocab_size);
    config.hidden_size = fields.integer("hidden_size", 1, max_hidden_size);
    config.intermediate_size = fields.integer("intermediate_size", 1, max_intermediate_size);
    config.num_layers = fields.integer("num_hidden_layers", 1, max_layers);
    config.num_heads = fields.integer("num_attention_heads", 1, max_heads);
    config.num_kv_heads =
        fields.optional_integer("num_key_value_heads", 1, max_heads).value_or(config.num_heads);
    config.max_position_embeddings = fields.integer("max_position_embeddings", 1, max_positions);
    if (config.num_heads % config.num_kv_heads != 0) {
        fields.refuse("num_key_value_heads",
                      "a divisor of num_attention_heads (" + std::to_string(config.num_heads) + ")");
    }
}

void read_head_dim(ConfigReader& fields, ModelConfig& config) {
    const auto head_dim = fields.optional_integer("head_dim", 2, max_head_dim);
    if (!head_dim && config.hidden_size % config.num_heads != 0) {
        fields.refuse("hidden_size",
                      "a multiple of num_attention_heads (" + std::to_string(config.num_heads) + ")");
    }
    config.head_dim = head_dim.value_or(config.hidden_size / config.num_heads);
    // A rotary embedding rotates pairs of elements, so head_dim must be even.
    if (config.head_dim % 2 != 0 || config.head_dim < 2 || config.head_dim > max_head_dim) {
        fields.refuse(head_dim ? "head_dim" : "hidden_size",
                      "an even head size from 2 to " + std::to_string(max_head_dim));
    }
}

void read_rms_norm_eps(ConfigReader& fields, ModelConfig& config) {
    constexpr std::string_view expected = "a number above 0 and at most 1";
    const auto eps = fields.optional_number(
        "rms_norm_eps", [](double value) { return static_cast<float>(value) > 0 && value <= 1; }, expected);
    if (!eps) fields.refuse("rms_norm_eps", expected);
    config.rms_norm_eps = static_cast<float>(eps.value_or(1));
}

// A null means that there is no window.
void read_sliding_window(ConfigReader& fields, const Architecture& architecture, ModelConfig& config) {
    if (architecture.default_sliding_window == 0) return;
    config.sliding_window = fields.mentions("sliding_window")
                                ? fields.optional_integer("sliding_window", 1, max_positions)
                                : architecture.default_sliding_window;
}

result<ModelConfig> read_config(const std::filesystem::path& file) {
    const auto object = read_json_file(file);
    if (!object) return object.error();
    ConfigReader fields(file, *object);
    ModelConfig config;
    const Architecture& architecture = read_architecture(fields);
    read_sizes(fields, config);
    read_head_dim(fields, config);
    read_rms_norm_eps(fields, config);
    read_sliding_window(fields, architecture, config);
    const RopeConfig rope = read_rope_config(fields);
    config.rope_theta = rope.theta;
    config.rope_scaling = rope.scaling;
    config.tie_word_embeddings = fields.boolean_or_false("tie_word_embeddings");
    config.bos_token_id =
        fields.optional_integer("bos_token_id", 0, config.vocab_size - 1).value_or(config.bos_token_id);
    config.eos_token_ids = fields.token_ids("eos_token_id", config.vocab_size);
    if (const auto outcome = fields.outcome(); !outcome) return outcome.error();
    return config;
}

}  // namespace

std::string_view name_of(DType type) {
    switch (type) {
        case DType::bf16:
            return "bf16";
        case DType::fp16:
            return "fp16";
        case DType::fp32:
            return "fp32";
    }
    return {};
}

std::int64_t ModelConfig::num_parameters() const {
    const std::int64_t hidden = hidden_size;
    const std::int64_t embeddings = (tie_word_embeddings ? 1 : 2) * hidden * vocab_size;
    const std::int64_t attention = 2 * hidden * (std::int64_t{num_heads} + num_kv_heads) * head_dim;
    const std::int64_t mlp = 3 * hidden * intermediate_size;
    const std::int64_t norms = 2 * hidden;
    return embeddings + num_layers * (attention + mlp + norms) + hidden;
}

result<ModelConfig> load_model_config(const std::filesystem::path& folder) {
    std::error_code ec;
    if (!std::filesystem::is_directory(folder, ec))
        return bad_model(folder, "is not a folder, expected a model folder");
    auto config = read_config(folder / "config.json");
    if (!config) return config;
    const std::filesystem::path generation = folder / "generation_config.json";
    if (std::filesystem::exists(generation, ec)) {
        auto read = read_generation_config(generation, config->vocab_size);
        if (!read) return read.error();
        config->generation = *std::move(read);
        if (!config->generation.eos_token_ids.empty())
            config->eos_token_ids = config->generation.eos_token_ids;
    }
    if (config->eos_token_ids.empty()) {
        return bad_model(folder / "config.json",
                         "eos_token_id is missing, expected an integer or a list of integers");
    }
    return config;
}

}  // namespace solard
