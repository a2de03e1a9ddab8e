// The tensors of a Hugging Face folder: one model.safetensors, or shards named by
// model.safetensors.index.json.
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
    std::size_t shard = 0;        // index of the file that holds it
    std::uint64_t offset = 0;     // first byte, from the start of that file
    std::uint64_t num_bytes = 0;  // == product(shape) * size_of(dtype)
};

// A validated tensor table and the open files behind it; owns no weights. Every offset and size was checked
// against the file's own length before open() returned. Movable. Thread-safe for reading. There is at least
// one tensor; where the folder has both forms, model.safetensors is taken.
class WeightSource {
  public:
    // Errors: bad_model, one line naming file, tensor and what was expected.
    static result<WeightSource> open(const std::filesystem::path& folder);

    // Null when there is no such tensor. The pointer lives as long as this object (also after a move).
    const TensorInfo* find(std::string_view name) const;

    // Fills `out` with bytes [begin, begin + out.size()) of the tensor. Any thread. The page cache is dropped
    // behind the reader. Errors: bad_model if the range leaves the tensor or the file shrank meanwhile.
    result<void> read(const TensorInfo& tensor, std::uint64_t begin, std::span<std::byte> out) const;

    const std::filesystem::path& file_of(const TensorInfo& tensor) const;
    std::size_t num_tensors() const;
    // By name.
    const std::map<std::string, TensorInfo, std::less<>>& tensors() const { return tensors_; }

  private:
    WeightSource() = default;
    result<void> add_shard(const std::filesystem::path& path);
    result<void> add_indexed_shards(const std::filesystem::path& index);

    std::vector<ModelFile> shards_;
    std::map<std::string, TensorInfo, std::less<>> tensors_;
};

}  // namespace solard
