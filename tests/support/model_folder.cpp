#include "tests/support/model_folder.hpp"

#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <fstream>
#include <functional>
#include <numeric>

namespace solard {
namespace {

namespace json = boost::json;

std::string_view safetensors_name(DType dtype) {
    switch (dtype) {
        case DType::bf16:
            return "BF16";
        case DType::fp16:
            return "F16";
        case DType::fp32:
            return "F32";
    }
    return {};
}

TensorData zeros(std::string name, DType dtype, std::vector<std::int64_t> shape) {
    const auto count = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    return {std::move(name), dtype, std::move(shape),
            std::vector<std::byte>(static_cast<std::size_t>(count) * size_of(dtype))};
}

}  // namespace

ModelFolder::ModelFolder() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::path(SOLARD_TEST_BUILD_DIR) / "model_folders" /
            (std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::remove_all(path_);  // a crashed process with the same id may have left this folder
    std::filesystem::create_directories(path_);
}

ModelFolder::~ModelFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void ModelFolder::write_text(std::string_view name, std::string_view text) const {
    std::ofstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(path_ / name, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void ModelFolder::write_safetensors(std::string_view name, std::span<const TensorData> tensors) const {
    write_text(name, safetensors_file(tensors));
}

void ModelFolder::write_index(const std::map<std::string, std::string>& file_of_tensor) const {
    json::object weight_map;
    for (const auto& [tensor, file] : file_of_tensor) weight_map.emplace(tensor, file);
    write_text("model.safetensors.index.json",
               json::serialize(json::object{{"metadata", json::object{}}, {"weight_map", weight_map}}));
}

std::string safetensors_file(std::string_view header, std::string_view data) {
    std::string file;
    for (unsigned byte = 0; byte < 8; ++byte) {
        file += static_cast<char>((std::uint64_t{header.size()} >> (8 * byte)) & 0xFF);
    }
    return file.append(header).append(data);
}

std::string safetensors_file(std::span<const TensorData> tensors) {
    json::object header;
    std::string data;
    for (const TensorData& tensor : tensors) {
        const std::size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
        header[tensor.name] = {{"dtype", safetensors_name(tensor.dtype)},
                               {"shape", json::value_from(tensor.shape)},
                               {"data_offsets", {begin, data.size()}}};
    }
    return safetensors_file(json::serialize(header), data);
}

std::string config_json(const ModelConfig& config) {
    json::object object{
        {"architectures", {"LlamaForCausalLM"}},
        {"model_type", "llama"},
        {"hidden_act", "silu"},
        {"vocab_size", config.vocab_size},
        {"hidden_size", config.hidden_size},
        {"intermediate_size", config.intermediate_size},
        {"num_hidden_layers", config.num_layers},
        {"num_attention_heads", config.num_heads},
        {"num_key_value_heads", config.num_kv_heads},
        {"head_dim", config.head_dim},
        {"max_position_embeddings", config.max_position_embeddings},
        {"rms_norm_eps", config.rms_norm_eps},
        {"rope_theta", config.rope_theta},
        {"tie_word_embeddings", config.tie_word_embeddings},
        {"bos_token_id", config.bos_token_id},
        {"eos_token_id", json::value_from(config.eos_token_ids)},
    };
    const RopeScaling& scaling = config.rope_scaling;
    if (scaling.type == RopeScaling::Type::linear)
        object["rope_scaling"] = {{"rope_type", "linear"}, {"factor", scaling.factor}};
    if (scaling.type == RopeScaling::Type::llama3) {
        object["rope_scaling"] = {
            {"rope_type", "llama3"},
            {"factor", scaling.factor},
            {"low_freq_factor", scaling.low_freq_factor},
            {"high_freq_factor", scaling.high_freq_factor},
            {"original_max_position_embeddings", scaling.original_max_position_embeddings}};
    }
    return json::serialize(object);
}

std::vector<TensorData> llama_tensors(const ModelConfig& config, DType dtype) {
    const std::int64_t hidden = config.hidden_size;
    const std::int64_t intermediate = config.intermediate_size;
    const std::int64_t q_size = std::int64_t{config.num_heads} * config.head_dim;
    const std::int64_t kv_size = std::int64_t{config.num_kv_heads} * config.head_dim;
    std::vector<TensorData> tensors;
    const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
        tensors.push_back(zeros(std::move(name), dtype, std::move(shape)));
    };
    add("model.embed_tokens.weight", {config.vocab_size, hidden});
    for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
        const std::string prefix = "model.layers." + std::to_string(layer) + ".";
        add(prefix + "input_layernorm.weight", {hidden});
        add(prefix + "self_attn.q_proj.weight", {q_size, hidden});
        add(prefix + "self_attn.k_proj.weight", {kv_size, hidden});
        add(prefix + "self_attn.v_proj.weight", {kv_size, hidden});
        add(prefix + "self_attn.o_proj.weight", {hidden, q_size});
        add(prefix + "post_attention_layernorm.weight", {hidden});
        add(prefix + "mlp.gate_proj.weight", {intermediate, hidden});
        add(prefix + "mlp.up_proj.weight", {intermediate, hidden});
        add(prefix + "mlp.down_proj.weight", {hidden, intermediate});
    }
    add("model.norm.weight", {hidden});
    if (!config.tie_word_embeddings) add("lm_head.weight", {config.vocab_size, hidden});
    return tensors;
}

}  // namespace solard
