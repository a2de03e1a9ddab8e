#include "server/auth/api_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "server/config/text.hpp"
#include "server/config/text_file.hpp"

namespace solard::server {
namespace {

constexpr std::string_view digest_prefix = "sha256:";
constexpr std::string_view secret_prefix = "sk-solard-";

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Digest sha256(std::string_view text) {
    Digest digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return digest;
}

std::string hex(const Digest& bytes) {
    std::string text;
    for (const unsigned char byte : bytes) {
        text += hex_digits[byte >> 4];
        text += hex_digits[byte & 15];
    }
    return text;
}

std::optional<Digest> parse_digest(std::string_view word) {
    if (!word.starts_with(digest_prefix)) return std::nullopt;
    word.remove_prefix(digest_prefix.size());
    Digest digest{};
    if (word.size() != 2 * digest.size()) return std::nullopt;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        const char* const begin = word.data() + 2 * i;
        const auto [end, ec] = std::from_chars(begin, begin + 2, digest[i], 16);
        if (ec != std::errc{} || end != begin + 2) return std::nullopt;
    }
    return digest;
}

// Sets the limit that `word` names, such as concurrency=N. Returns false if `word` is not valid.
bool parse_limit(std::string_view word, ApiKey& key) {
    const auto equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    auto* const limit = name == "concurrency"         ? &key.concurrency
                        : name == "tokens-per-minute" ? &key.tokens_per_minute
                                                      : nullptr;
    if (limit == nullptr || equals == std::string_view::npos) return false;
    const char* const last = word.data() + word.size();
    const auto [end, ec] = std::from_chars(word.data() + equals + 1, last, *limit);
    return ec == std::errc{} && end == last && *limit >= 1;
}

// Returns the problem of the line, or nothing if the line is valid. The message never quotes the line, which
// may contain a key by mistake.
std::optional<std::string> parse_line(const std::string& line, ApiKey& key) {
    std::istringstream words(line);
    std::string word;
    words >> key.name >> word;
    if (!is_key_name(key.name))
        return "expected a name of 1 to 64 letters, digits, dots, underscores or dashes";
    const auto digest = parse_digest(word);
    if (!digest) return "expected 'sha256:' and 64 hexadecimal digits after the name";
    key.digest = *digest;
    while (words >> word) {
        if (!parse_limit(word, key))
            return "expected concurrency=N or tokens-per-minute=N, where N is at least 1";
    }
    return std::nullopt;
}

// Returns true if the file lies in the folder of the credentials that systemd copies for the service. No
// other user can enter this folder. An ACL lets the service's user read the copy, and the mask of this ACL
// appears as the permissions of the group.
bool is_credential(const std::filesystem::path& path) {
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    return folder != nullptr && *folder == '/' && path.parent_path() == folder;
}

Error bad_file(const std::string& where, const std::string& problem) {
    return {errc::bad_configuration, where + ": " + problem};
}

}  // namespace

result<ApiKeys> ApiKeys::load(const std::string& path) {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return bad_file(path, "the API key file cannot be read");
    const mode_t tolerated = is_credential(path) ? S_IRGRP : 0;
    if ((info.st_mode & (S_IRWXG | S_IRWXO) & ~tolerated) != 0)
        return bad_file(path, "other users have access to the API key file; run 'chmod 600 " + path + "'");
    const auto lines = read_text_lines(path, "the API key file");
    if (!lines) return lines.error();
    ApiKeys keys;
    for (const auto& [whole_line, where] : *lines) {
        const std::string line = whole_line.substr(0, whole_line.find('#'));
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        ApiKey key;
        if (const auto problem = parse_line(line, key)) return bad_file(where, *problem);
        if (std::ranges::find(keys.keys_, key.name, &ApiKey::name) != keys.keys_.end())
            return bad_file(where, "an earlier line of the file has the same name");
        if (std::ranges::find(keys.keys_, key.digest, &ApiKey::digest) != keys.keys_.end())
            return bad_file(where, "an earlier line of the file has the same key");
        keys.keys_.push_back(std::move(key));
    }
    // OpenSSL reads its configuration file at its first use. This call is the first use, so that the event
    // loop does not have to wait for the file.
    sha256({});
    // Without this check, an empty file would open the server to everybody.
    if (keys.empty()) return bad_file(path, "the API key file contains no key; 'solard keygen' makes one");
    return keys;
}

result<void> ApiKeys::add(std::string_view name, std::string_view secret) {
    ApiKey key{.name = std::string(name), .digest = sha256(secret)};
    for (const ApiKey& known : keys_) {
        if (known.name == key.name || known.digest == key.digest)
            return Error{errc::bad_configuration,
                         "option 'api-key': the API key file has the same key, or a key of the name '" +
                             key.name + "'"};
    }
    keys_.push_back(std::move(key));
    return {};
}

std::optional<std::size_t> ApiKeys::find(std::string_view secret) const {
    const Digest digest = sha256(secret);
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        if (CRYPTO_memcmp(keys_[i].digest.data(), digest.data(), digest.size()) == 0) found = i;
    }
    return found;
}

bool is_key_name(std::string_view name) {
    static constexpr std::string_view others = "._-";
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, is_allowed);
}

NewApiKey make_api_key(std::string_view name) {
    Digest bits{};
    if (RAND_bytes(bits.data(), static_cast<int>(bits.size())) != 1)
        throw std::runtime_error("the system cannot provide random bits");
    NewApiKey key;
    key.secret = std::string(secret_prefix) + hex(bits);
    key.line = std::string(name) + " " + std::string(digest_prefix) + hex(sha256(key.secret));
    return key;
}

}  // namespace solard::server
