// A text file that keeps the chosen algorithms of cuBLASLt, with their measured times, for the next start.
#pragma once

#include <cublasLt.h>

#include <filesystem>
#include <map>
#include <string>

namespace solard::cuda {

// Returns $CACHE_DIRECTORY, which systemd sets, else $XDG_CACHE_HOME/solard, else $HOME/.cache/solard. If
// none of these variables is set, returns an empty path.
std::filesystem::path default_cache_folder();

class GemmCache {
  public:
    struct Entry {
        cublasLtMatmulAlgo_t algo{};
        float microseconds = 0;
    };

    // Reads the file. A missing file counts as an empty file, and a line that save() did not write is
    // ignored. If the path is empty, nothing is kept. According to cublasLt.h, a stored algorithm may only be
    // used with the same version of the library, so the file's name must contain the version and the card's
    // name. The caller must check whether an algorithm that find() returns is valid for the matrix product.
    explicit GemmCache(std::filesystem::path file);

    // Returns null if there is no entry. A returned entry is valid until the next remember().
    const Entry* find(const std::string& key) const;
    void remember(const std::string& key, const Entry& entry);
    // Replaces the file atomically if remember() has been called since the last save(). A file that cannot be
    // written is not an error: the next start of the program measures again.
    void save();

  private:
    std::filesystem::path file_;
    std::map<std::string, Entry> entries_;
    bool changed_ = false;
};

}  // namespace solard::cuda
