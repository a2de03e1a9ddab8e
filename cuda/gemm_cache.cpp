#include "cuda/gemm_cache.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace solard::cuda {
namespace {

std::optional<std::string> environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

// FNV-1a. It detects damage, not tampering.
std::uint64_t hash_of(const std::string& text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

constexpr const char* separator = " : ";

// Returns "<key> : <microseconds> <the algorithm's eight words> : <hash of the line up to here>".
std::string line_of(const std::string& key, const GemmCache::Entry& entry) {
    std::ostringstream text;
    text << key << separator << entry.microseconds << std::hex;
    for (const std::uint64_t word : entry.algo.data) text << ' ' << word;
    const std::uint64_t hash = hash_of(text.str());
    text << separator << hash;
    return text.str();
}

}  // namespace

std::filesystem::path default_cache_folder() {
    if (const auto folder = environment("CACHE_DIRECTORY")) return folder->substr(0, folder->find(':'));
    if (const auto folder = environment("XDG_CACHE_HOME")) return std::filesystem::path(*folder) / "solard";
    if (const auto home = environment("HOME")) return std::filesystem::path(*home) / ".cache/solard";
    return {};
}

GemmCache::GemmCache(std::filesystem::path file) : file_(std::move(file)) {
    std::ifstream in(file_);
    for (std::string line; std::getline(in, line);) {
        const std::size_t key_end = line.find(separator);
        if (key_end == std::string::npos) continue;
        std::istringstream rest(line.substr(key_end + 3));
        Entry entry;
        rest >> entry.microseconds >> std::hex;
        for (std::uint64_t& word : entry.algo.data) rest >> word;
        const std::string key = line.substr(0, key_end);
        // A line is valid if writing its contents again yields the same line, including the hash.
        if (rest && line_of(key, entry) == line) entries_[key] = entry;
    }
}

const GemmCache::Entry* GemmCache::find(const std::string& key) const {
    const auto entry = entries_.find(key);
    return entry == entries_.end() ? nullptr : &entry->second;
}

void GemmCache::remember(const std::string& key, const Entry& entry) {
    entries_[key] = entry;
    changed_ = true;
}

void GemmCache::save() {
    if (file_.empty() || !changed_) return;
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    // The name holds the process id, because another process may write at the same time.
    const std::filesystem::path temporary = file_.string() + "." + std::to_string(getpid());
    std::ofstream out(temporary, std::ios::trunc);
    for (const auto& [key, entry] : entries_) out << line_of(key, entry) << '\n';
    out.close();
    if (out) std::filesystem::rename(temporary, file_, ignored);
    if (!out || ignored) std::filesystem::remove(temporary, ignored);
    changed_ = false;
}

}  // namespace solard::cuda
