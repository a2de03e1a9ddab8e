#include "inference/model/config.hpp"

#include <boost/json/serialize.hpp>
#include <cmath>
#include <string>
#include <utility>

#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"

namespace solard {
namespace {

namespace json = boost::json;

// These limits are far above any published model, and small enough that no product of sizes overflows 63
// bits.
constexpr std::int32_t max_vocab_size = 1 << 20;
constexpr std::int32_t max_hidden_size = 1 << 16;
constexpr std::int32_t max_intermediate_size = 1 << 18;
constexpr std::int32_t max_layers = 1 << 10;
constexpr std::int32_t max_heads = 1 << 10;
constexpr std::int32_t max_head_dim = 1 << 9;
constexpr std::int32_t max_positions = 1 << 24;
constexpr double max_rope_theta = 1e12;

// Typed access to one JSON object. The first error is kept and later ones are ignored, so that a caller can
// read all fields and then check outcome() once. A null counts as absent, as it does for the library that
// writes the file (Hugging Face transformers).
class FieldReader {
  public:
    FieldReader(const std::filesystem::path& file, const json::object& object)
        : file_(file), object_(object) {}

    result<void> outcome() const { return error_ ? result<void>(*error_) : result<void>(); }

    void refuse(std::string_view key, std::string_view expected) {
        if (error_) return;
        const json::value* value = find(key);
        const std::string found = value == nullptr ? "is missing" : "is " + abridged(*value);
        error_ = bad_model(file_, std::string(key) + " " + found + ", expected " + std::string(expected));
    }

    const json::value* find(std::string_view key) const {
        const json::value* value = object_.if_contains(key);
        return value == nullptr || value->is_null() ? nullptr : value;
    }

    std::optional<std::int32_t> optional_integer(std::string_view key, std::int32_t min, std::int32_t max) {
        const json::value* value = find(key);
        if (value == nullptr) return std::nullopt;
        const auto integer = non_negative_integer(*value);
        if (integer && *integer >= min && *integer <= max) return static_cast<std::int32_t>(*integer);
        refuse(key, integer_from(min, max));
        return std::nullopt;
    }

    std::int32_t integer(std::string_view key, std::int32_t min, std::int32_t max) {
        const auto value = optional_integer(key, min, max);
        if (!value) refuse(key, integer_from(min, max));
        return value.value_or(min);
    }

    // Accepts a number if `in_range` returns true for it; `expected` describes that range in the error.
    template <class Predicate>
    std::optional<double> optional_number(std::string_view key, Predicate in_range,
                                          std::string_view expected) {
        const json::value* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_number() && in_range(value->to_number<double>())) return value->to_number<double>();
        refuse(key, expected);
        return std::nullopt;
    }

    bool boolean_or_false(std::string_view key) {
        const json::value* value = find(key);
        if (value == nullptr) return false;
        if (value->is_bool()) return value->get_bool();
        refuse(key, "true or false");
        return false;
    }

    void require_absent(std::string_view key) {
        if (find(key) != nullptr) refuse(key, "null or absent (other values are not supported)");
    }

    void require_false(std::string_view key) {
        if (boolean_or_false(key)) refuse(key, "false (true is not supported)");
    }

    void require_equal(std::string_view key, const json::value& wanted) {
        const json::value* value = find(key);
        if (value == nullptr || *value != wanted) refuse(key, json::serialize(wanted));
    }

    // Reads one id or a list of ids, each in [0, vocab_size). Returns an empty list if the key is absent.
    std::vector<TokenId> token_ids(std::string_view key, std::int32_t vocab_size) {
        const json::value* value = find(key);
        if (value == nullptr) return {};
        const json::array ids = value->is_array() ? value->get_array() : json::array{*value};
        std::vector<TokenId> tokens;
        for (const json::value& id : ids) {
            const auto integer = non_negative_integer(id);
            if (integer && *integer < vocab_size) tokens.push_back(static_cast<TokenId>(*integer));
        }
        if (tokens.empty() || tokens.size() != ids.size()) {
            refuse(key, "an integer or a list of integers from 0 to " + std::to_string(vocab_size - 1));
        }
        return tokens;
    }

  private:
    static std::string integer_from(std::int32_t min, std::int32_t max) {
        return "an integer from " + std::to_string(min) + " to " + std::to_string(max);
    }

    static std::string abridged(const json::value& value) {
        constexpr std::size_t max_bytes = 80;
        if (value.is_string()) return quoted_name(value.get_string());
        if (value.is_structured() && json::serialize(value).size() > max_bytes)
            return "a long list or object";
        return json::serialize(value);
    }

    const std::filesystem::path& file_;
    const json::object& object_;
    std::optional<Error> error_;
};

void check_architecture(FieldReader& fields) {
    fields.require_equal("architectures", {"LlamaForCausalLM"});
    fields.require_equal("model_type", "llama");
    if (fields.find("hidden_act") != nullptr) fields.require_equal("hidden_act", "silu");
    fields.require_false("attention_bias");
    fields.require_false("mlp_bias");
    fields.require_absent("rope_scaling");
    fields.require_absent("sliding_window");
    fields.require_absent("quantization_config");
}

std::optional<double> read_rope_theta(FieldReader& fields) {
    return fields.optional_number(
        "rope_theta", [](double theta) { return static_cast<float>(theta) > 0 && theta <= max_rope_theta; },
        "a number above 0 and at most 1e12");
}

// Newer versions of transformers put theta into rope_parameters. Only the rope_type "default" is supported.
result<std::optional<double>> rope_theta_of_parameters(const std::filesystem::path& file,
                                                       const json::value& parameters) {
    constexpr std::string_view expected =
        R"(rope_parameters: expected an object with "rope_type": "default" and "rope_theta")";
    const json::object* object = parameters.if_object();
    if (object == nullptr) return bad_model(file, expected);
    for (const auto& [key, value] : *object) {
        const bool plain = key == "rope_theta" || (key == "rope_type" && value == "default");
        if (!plain)
            return bad_model(file, std::string(expected) + "; the key " + quoted_name(key) +
                                       " is not supported or has an unsupported value");
    }
    FieldReader fields(file, *object);
    const auto theta = read_rope_theta(fields);
    if (const auto outcome = fields.outcome(); !outcome) return outcome.error();
    return theta;
}

void read_sizes(FieldReader& fields, ModelConfig& config) {
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

void read_head_dim(FieldReader& fields, ModelConfig& config) {
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

void read_rms_norm_eps(FieldReader& fields, ModelConfig& config) {
    constexpr std::string_view expected = "a number above 0 and at most 1";
    const auto eps = fields.optional_number(
        "rms_norm_eps", [](double value) { return static_cast<float>(value) > 0 && value <= 1; }, expected);
    if (!eps) fields.refuse("rms_norm_eps", expected);
    config.rms_norm_eps = static_cast<float>(eps.value_or(1));
}

result<ModelConfig> read_config(const std::filesystem::path& file) {
    const auto object = read_json_file(file);
    if (!object) return object.error();
    FieldReader fields(file, *object);
    ModelConfig config;
    check_architecture(fields);
    read_sizes(fields, config);
    read_head_dim(fields, config);
    read_rms_norm_eps(fields, config);
    config.rope_theta = read_rope_theta(fields).value_or(config.rope_theta);
    config.tie_word_embeddings = fields.boolean_or_false("tie_word_embeddings");
    config.bos_token_id =
        fields.optional_integer("bos_token_id", 0, config.vocab_size - 1).value_or(config.bos_token_id);
    config.eos_token_ids = fields.token_ids("eos_token_id", config.vocab_size);
    if (const auto outcome = fields.outcome(); !outcome) return outcome.error();

    if (const json::value* parameters = fields.find("rope_parameters")) {
        const auto theta = rope_theta_of_parameters(file, *parameters);
        if (!theta) return theta.error();
        config.rope_theta = theta->value_or(config.rope_theta);
    }
    return config;
}

result<void> read_generation_config(const std::filesystem::path& file, ModelConfig& config) {
    const auto object = read_json_file(file);
    if (!object) return object.error();
    FieldReader fields(file, *object);
    if (auto ids = fields.token_ids("eos_token_id", config.vocab_size); !ids.empty()) {
        config.eos_token_ids = std::move(ids);
    }
    config.default_temperature = fields.optional_number(
        "temperature", [](double value) { return value >= 0 && value <= 2; }, "a number from 0 to 2");
    config.default_top_p = fields.optional_number(
        "top_p", [](double value) { return value > 0 && value <= 1; }, "a number above 0 and at most 1");
    return fields.outcome();
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
        if (const auto done = read_generation_config(generation, *config); !done) return done.error();
    }
    if (config->eos_token_ids.empty()) {
        return bad_model(folder / "config.json",
                         "eos_token_id is missing, expected an integer or a list of integers");
    }
    return config;
}

}  // namespace solard
