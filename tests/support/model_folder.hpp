// Model folders that tests write themselves: valid ones, and single files to damage.
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

// An empty folder under SOLARD_TEST_BUILD_DIR, unique per process and object; removed by the destructor.
// Members throw where a file cannot be written, and replace a file of the same name.
class ModelFolder {
  public:
    ModelFolder();
    ~ModelFolder();
    ModelFolder(const ModelFolder&) = delete;
    ModelFolder& operator=(const ModelFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

    // `text` may be any bytes.
    void write_text(std::string_view name, std::string_view text) const;
    void write_safetensors(std::string_view name, std::span<const TensorData> tensors) const;
    // model.safetensors.index.json.
    void write_index(const std::map<std::string, std::string>& file_of_tensor) const;

  private:
    std::filesystem::path path_;
};

// A safetensors file: eight bytes of header length, `header`, `data`.
std::string safetensors_file(std::string_view header, std::string_view data);
// The same from tensors, packed in the order given.
std::string safetensors_file(std::span<const TensorData> tensors);

// config.json of a Llama-architecture model with these sizes.
std::string config_json(const ModelConfig& config);

// Every tensor such a model has, under its published name and in its published shape; all bytes zero.
// Tied embeddings have no lm_head.weight.
std::vector<TensorData> llama_tensors(const ModelConfig& config, DType dtype);

}  // namespace solard
