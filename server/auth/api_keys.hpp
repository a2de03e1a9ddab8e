// The file of API keys: who may ask, and how much. Holds hashes only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/error.hpp"

namespace solard::server {

struct ApiKey {
    std::string name;                        // for people; no secret
    std::array<unsigned char, 32> digest{};  // SHA-256 of the key: random keys need no slow hash
    std::int64_t concurrency = 0;            // requests at once; 0 = no limit
    std::int64_t tokens_per_minute = 0;      // prompt and answer together; 0 = no limit
};

// Immutable after load().
class ApiKeys {
  public:
    // One key a line: `<name> sha256:<64 hex digits> [concurrency=N] [tokens-per-minute=N]`, `#` begins a
    // comment. Errors: bad_configuration, naming file and line; also if anybody but the owner may read or
    // write the file.
    static result<ApiKeys> load(const std::string& path);

    bool empty() const { return keys_.empty(); }
    const std::vector<ApiKey>& all() const { return keys_; }
    // Index of the key; the time it takes tells nothing about how much of a key is right.
    std::optional<std::size_t> find(std::string_view secret) const;

  private:
    std::vector<ApiKey> keys_;
};

struct NewApiKey {
    std::string secret;  // to be shown once
    std::string line;    // for the file
};
// 256 random bits. `name`: 1 to 64 of A-Z a-z 0-9 . _ -
NewApiKey make_api_key(std::string_view name);
bool is_key_name(std::string_view name);

}  // namespace solard::server
