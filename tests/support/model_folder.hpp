// Writes model folders for tests: valid folders, and folders in which a test damages a single file.
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

// A folder under SOLARD_TEST_BUILD_DIR, unique per process and object. It is empty at first, and the
// destructor removes it. The write functions replace a file of the same name and throw if the file cannot be
// written.
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
// Returns a safetensors file that holds the tensors without gaps, in the order of `tensors`.
std::string safetensors_file(std::span<const TensorData> tensors);

// Returns the config.json of a Llama-architecture model with these sizes and this RoPE scaling, which must
// not be dynamic.
std::string config_json(const ModelConfig& config);

// Returns every tensor of a Llama model with these sizes. Names and shapes are those of published
// checkpoints, and all bytes are zero. A model with tied embeddings has no lm_head.weight.
std::vector<TensorData> llama_tensors(const ModelConfig& config, DType dtype);

}  // namespace solard
