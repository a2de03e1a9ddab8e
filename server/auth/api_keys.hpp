// The file of API keys, which says who may use the server and how much. The file holds only hashes of the
// keys.
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
    std::string name;                        // shown to operators; not secret
    std::array<unsigned char, 32> digest{};  // SHA-256 of the key; random keys need no slow hash
    std::int64_t concurrency = 0;            // maximum number of requests in flight; 0 = no limit
    std::int64_t tokens_per_minute = 0;      // maximum for prompts and answers together; 0 = no limit
};

// Immutable after load().
class ApiKeys {
  public:
    // Reads one key per line: `<name> sha256:<64 hex digits> [concurrency=N] [tokens-per-minute=N]`. `#`
    // begins a comment. Errors: bad_configuration. A file without a key is an error, and so is a file to
    // which users other than its owner have access. The message names the file and the wrong line.
    static result<ApiKeys> load(const std::string& path);

    // Adds the key of the option --api-key, without limits. Errors: bad_configuration, if there is a key of
    // this name or with this secret.
    result<void> add(std::string_view name, std::string_view secret);

    bool empty() const { return keys_.empty(); }
    const std::vector<ApiKey>& all() const { return keys_; }
    // Returns the index of the key. The time that the search takes does not reveal how much of `secret` is
    // right.
    std::optional<std::size_t> find(std::string_view secret) const;

  private:
    std::vector<ApiKey> keys_;
};

struct NewApiKey {
    std::string secret;  // shown once and never stored
    std::string line;    // for the file; without a line feed
};
// Makes a key of 256 random bits. is_key_name(name) must be true.
NewApiKey make_api_key(std::string_view name);
// Returns true for 1 to 64 characters of A-Z a-z 0-9 . _ -
bool is_key_name(std::string_view name);

}  // namespace solard::server
