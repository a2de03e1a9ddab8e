// What was measured of cuBLASLt's algorithms, kept in a text file from one start to the next.
#pragma once

#include <cublasLt.h>

#include <filesystem>
#include <map>
#include <string>

namespace solard::cuda {

// $CACHE_DIRECTORY, as systemd sets it, else $XDG_CACHE_HOME/solard, else ~/.cache/solard; empty where none
// is set.
std::filesystem::path default_cache_folder();

class GemmCache {
  public:
    struct Entry {
        cublasLtMatmulAlgo_t algo{};
        float microseconds = 0;
    };

    // Reads the file. An empty path keeps nothing; a missing file holds nothing, and neither does a line that
    // is not what save() wrote. cublasLt.h lets an algorithm be kept for the same version of the library:
    // that, and the card, belong into the file's name. Whether an algorithm can do what it is wanted for is
    // the reader's to check.
    explicit GemmCache(std::filesystem::path file);

    const Entry* find(const std::string& key) const;  // valid until the next remember()
    void remember(const std::string& key, const Entry& entry);
    // Replaces the file at once, if there is something new. Who cannot write it measures again next time:
    // that is no error.
    void save();

  private:
    std::filesystem::path file_;
    std::map<std::string, Entry> entries_;
    bool changed_ = false;
};

}  // namespace solard::cuda
