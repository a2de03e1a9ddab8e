// Files of a model folder, read within limits, and the one form of their errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

// errc::bad_model with the text "<file>: <what>".
Error bad_model(const std::filesystem::path& file, std::string_view what);

// `text` as a JSON string literal, cut where it is long: a name taken from a file stays on one line.
std::string quoted_name(std::string_view text);

// A regular file, open for reading. Symbolic links are followed, because download caches lay out a folder
// with them; devices, pipes and folders are refused. Movable. Any thread may read.
class ModelFile {
  public:
    // Errors: bad_model naming the file.
    static result<ModelFile> open(std::filesystem::path path);
    ModelFile(ModelFile&& other) noexcept;
    ModelFile& operator=(ModelFile&& other) noexcept;
    ~ModelFile();

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t size() const { return size_; }  // bytes, at open()

    // Fills `out` from byte `begin` on. Errors: bad_model if the file ends before or cannot be read.
    result<void> read(std::uint64_t begin, std::span<std::byte> out) const;
    // Tells the kernel that these bytes will not be read again soon.
    void drop_cache(std::uint64_t begin, std::uint64_t num_bytes) const;

  private:
    ModelFile(std::filesystem::path path, int descriptor);

    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

// All of a file. Errors: bad_model, also where it has more than `max_bytes`.
result<std::string> read_model_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace solard
