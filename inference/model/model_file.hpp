// Reads files of a model folder up to a maximum size, and makes the error messages about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "inference/error.hpp"
#include "inference/text/json_text.hpp"

namespace solard {

// Returns errc::bad_model with the text "<file>: <what>".
Error bad_model(const std::filesystem::path& file, std::string_view what);

// A regular file that is open for reading. Symbolic links are followed, because the folders of download
// caches consist of links. Devices, pipes and folders are refused. Movable. Any thread may read.
class ModelFile {
  public:
    // Opens a file. Errors: bad_model, with a message that names the file.
    static result<ModelFile> open(std::filesystem::path path);
    ModelFile(ModelFile&& other) noexcept;
    ModelFile& operator=(ModelFile&& other) noexcept;
    ~ModelFile();

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t size() const { return size_; }  // in bytes, as it was when the file was opened

    // Fills `out` with the bytes from `begin` on. Errors: bad_model if the file ends too early or cannot be
    // read.
    result<void> read(std::uint64_t begin, std::span<std::byte> out) const;
    // Tells the kernel that these bytes will not be read again soon.
    void drop_cache(std::uint64_t begin, std::uint64_t num_bytes) const;

  private:
    ModelFile(std::filesystem::path path, int descriptor);

    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

// Returns the whole file. Errors: bad_model, also if the file has more than `max_bytes`.
result<std::string> read_model_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace solard
