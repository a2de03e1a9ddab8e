// Model folders that tests write: valid ones, and single files which a test damages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/config.hpp"

namespace solard {

struct TensorData {
    std::string name;
    DType dtype = DType::bf16;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;  // [product(shape) * size_of(dtype)], little endian
};

// An empty folder under SOLARD_TEST_BUILD_DIR, unique per process and object; the destructor removes it.
// The members replace a file of the same name. They throw if a file cannot be written.
class ModelFolder {
  public:
    ModelFolder();
    ~ModelFolder();
    ModelFolder(const ModelFolder&) = delete;
    ModelFolder& operator=(const ModelFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

    // `text` may hold any bytes.
    void write_text(std::string_view name, std::string_view text) const;
    void write_safetensors(std::string_view name, std::span<const TensorData> tensors) const;
    // Writes model.safetensors.index.json.
    void write_index(const std::map<std::string, std::string>& file_of_tensor) const;

  private:
    std::filesystem::path path_;
};

// Returns a safetensors file: eight bytes with the header's length, then `header`, then `data`.
std::string safetensors_file(std::string_view header, std::string_view data);
// Returns a safetensors file of the tensors, packed in this order.
std::string safetensors_file(std::span<const TensorData> tensors);

// Returns the config.json of a Llama-architecture model with these sizes.
std::string config_json(const ModelConfig& config);

// Returns every tensor of such a model under its published name and in its published shape, with all bytes
// zero. A model with tied embeddings has no lm_head.weight.
std::vector<TensorData> llama_tensors(const ModelConfig& config, DType dtype);

}  // namespace solard
