// Reads the tensors of a Hugging Face folder: either one file model.safetensors, or the shards that
// model.safetensors.index.json names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/model/config.hpp"
#include "inference/model/model_file.hpp"

namespace solard {

struct TensorInfo {
    std::string name;
    DType dtype = DType::bf16;
    std::vector<std::int64_t> shape;
    std::size_t shard = 0;        // index of the file that contains the tensor
    std::uint64_t offset = 0;     // position of the tensor's first byte in that file
    std::uint64_t num_bytes = 0;  // == product(shape) * size_of(dtype)
};

// A validated table of tensors, together with the open files that contain them. It holds no weights in
// memory. Every offset and size was checked against the length of its file before open() returned. There is
// at least one tensor. If the folder has both model.safetensors and an index, model.safetensors is used.
// Movable. Thread-safe for reading.
class WeightSource {
  public:
    // Errors: bad_model, with a message of one line that names the file, the tensor and what was expected.
    static result<WeightSource> open(const std::filesystem::path& folder);

    // Returns null if no tensor has this name. The pointer is valid as long as this object lives, also after
    // a move.
    const TensorInfo* find(std::string_view name) const;

    // Fills `out` with bytes [begin, begin + out.size()) of the tensor. May be called on any thread. The
    // bytes are dropped from the page cache after they are read. Errors: bad_model if the range exceeds the
    // tensor, or if the file has shrunk since open().
    result<void> read(const TensorInfo& tensor, std::uint64_t begin, std::span<std::byte> out) const;

    const std::filesystem::path& file_of(const TensorInfo& tensor) const;
    std::size_t num_tensors() const;
    // Returns all tensors by name.
    const std::map<std::string, TensorInfo, std::less<>>& tensors() const { return tensors_; }

  private:
    WeightSource() = default;
    result<void> add_shard(const std::filesystem::path& path);
    result<void> add_indexed_shards(const std::filesystem::path& index);

    std::vector<ModelFile> shards_;
    std::map<std::string, TensorInfo, std::less<>> tensors_;
};

}  // namespace solard
