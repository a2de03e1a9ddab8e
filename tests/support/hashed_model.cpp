#include "tests/support/hashed_model.hpp"

#include <array>
#include <bit>
#include <boost/json.hpp>
#include <cstring>
#include <fstream>

#include "inference/model/half.hpp"

namespace solard {
namespace {

namespace json = boost::json;

std::uint32_t fnv1a(std::string_view text) {
    std::uint32_t hash = 0x811C9DC5;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
    return hash;
}

std::uint32_t mix(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x85EBCA6B;
    return x ^ (x >> 13);
}

float value_of(const TensorData& tensor, int v, int head_shift) {
    if (tensor.shape.size() == 1) return 1.0F + static_cast<float>(v % 32) / 64;
    if (tensor.name == "model.embed_tokens.weight") return static_cast<float>(v) / 128;
    const int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(tensor.shape[1]) - 1));
    const int shift = tensor.name == "lm_head.weight" ? head_shift : 0;
    return std::ldexp(static_cast<float>(v), shift - (6 + (bits + 1) / 2));
}

void fill(TensorData& tensor, int head_shift) {
    std::array<std::uint16_t, 256> halves{};
    for (int byte = 0; byte < 256; ++byte) {
        const float value = value_of(tensor, byte < 128 ? byte : byte - 256, head_shift);
        const std::uint32_t half =
            tensor.dtype == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value);
        halves[static_cast<std::size_t>(byte)] = static_cast<std::uint16_t>(half);
    }
    const std::uint32_t seed = fnv1a(tensor.name);
    const auto count = static_cast<std::uint32_t>(tensor.bytes.size() / sizeof(std::uint16_t));
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint16_t half = halves[mix(i * 0x9E3779B1 + seed) >> 24];
        std::memcpy(tensor.bytes.data() + std::size_t{2} * i, &half, sizeof half);
    }
}

// Fills and writes one tensor after the other to save memory, because the largest model of the tests has half
// a gigabyte.
void write_shard(const std::filesystem::path& path, std::span<TensorData> tensors, int head_shift) {
    json::object header;
    std::size_t offset = 0;
    for (const TensorData& tensor : tensors) {
        header[tensor.name] = {{"dtype", tensor.dtype == DType::bf16 ? "BF16" : "F16"},
                               {"shape", json::value_from(tensor.shape)},
                               {"data_offsets", {offset, offset + tensor.bytes.size()}}};
        offset += tensor.bytes.size();
    }
    std::ofstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(path, std::ios::binary);
    const std::string head = safetensors_file(json::serialize(header), "");
    file.write(head.data(), static_cast<std::streamsize>(head.size()));
    for (TensorData& tensor : tensors) {
        fill(tensor, head_shift);
        file.write(reinterpret_cast<const char*>(tensor.bytes.data()),
                   static_cast<std::streamsize>(tensor.bytes.size()));
        tensor.bytes = {};
    }
}

}  // namespace

const std::filesystem::path& write_hashed_model(const ModelFolder& folder, const ModelConfig& config,
                                                DType dtype, int num_shards, int head_shift) {
    folder.write_text("config.json", config_json(config));
    std::vector<TensorData> tensors = llama_tensors(config, dtype);
    if (num_shards == 1) {
        write_shard(folder.path() / "model.safetensors", tensors, head_shift);
        return folder.path();
    }

    std::map<std::string, std::string> file_of_tensor;
    const std::size_t per_shard = tensors.size() / static_cast<std::size_t>(num_shards) + 1;
    for (std::size_t begin = 0; begin < tensors.size(); begin += per_shard) {
        const std::string name = "model-" + std::to_string(begin / per_shard + 1) + ".safetensors";
        const auto shard = std::span(tensors).subspan(begin, std::min(per_shard, tensors.size() - begin));
        for (const TensorData& tensor : shard) file_of_tensor[tensor.name] = name;
        write_shard(folder.path() / name, shard, head_shift);
    }
    folder.write_index(file_of_tensor);
    return folder.path();
}

LoadedModel::LoadedModel(const std::filesystem::path& folder)
    : config(load_model_config(folder).value()),
      source(WeightSource::open(folder).value()),
      tensors(resolve_tensors(source, config).value()) {}

ModelConfig small_gqa_config() {
    ModelConfig config;
    config.vocab_size = 301;
    config.hidden_size = 96;
    config.intermediate_size = 200;
    config.num_layers = 3;
    config.num_heads = 6;
    config.num_kv_heads = 2;
    config.head_dim = 24;
    config.max_position_embeddings = 256;
    config.rms_norm_eps = 1e-5F;
    config.eos_token_ids = {2};
    return config;
}

ModelConfig small_mha_config() {
    ModelConfig config = small_gqa_config();
    config.vocab_size = 500;
    config.hidden_size = 128;
    config.intermediate_size = 352;
    config.num_layers = 2;
    config.num_heads = 4;
    config.num_kv_heads = 4;
    config.head_dim = 32;
    config.rope_theta = 500000;
    config.tie_word_embeddings = true;
    return config;
}

}  // namespace solard
