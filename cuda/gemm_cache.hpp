// A text file that keeps what was measured of cuBLASLt's algorithms from one start to the next.
#pragma once

#include <cublasLt.h>

#include <filesystem>
#include <map>
#include <string>

namespace solard::cuda {

// Returns $CACHE_DIRECTORY, which systemd sets, else $XDG_CACHE_HOME/solard, else ~/.cache/solard, or an
// empty path if none of these variables is set.
std::filesystem::path default_cache_folder();

class GemmCache {
  public:
    struct Entry {
        cublasLtMatmulAlgo_t algo{};
        float microseconds = 0;
    };

    // Reads the file. A missing file is an empty one, and a line that save() did not write is ignored. If the
    // path is empty, nothing is kept. cublasLt.h allows an algorithm to be kept for the same version of the
    // library, so the file's name must hold that version and the card. The caller checks whether an algorithm
    // that find() returns is valid for its purpose.
    explicit GemmCache(std::filesystem::path file);

    const Entry* find(const std::string& key) const;  // valid until the next remember()
    void remember(const std::string& key, const Entry& entry);
    // Replaces the file atomically if there is something new. A file that cannot be written is no error: the
    // next start measures again.
    void save();

  private:
    std::filesystem::path file_;
    std::map<std::string, Entry> entries_;
    bool changed_ = false;
};

}  // namespace solard::cuda
