// API keys for tests, and requests which send them.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/auth/api_keys.hpp"

namespace solard::server {

// A key file with one key for each element of `limits`. The element is appended to the line of its key, as in
// Keys({"", " concurrency=1"}).
struct Keys {
    explicit Keys(const std::vector<std::string>& limits) {
        std::string pattern = SOLARD_TEST_BUILD_DIR "/keys-XXXXXX";
        close(mkstemp(pattern.data()));
        path = pattern;
        std::ofstream file(path);
        for (std::size_t i = 0; i < limits.size(); ++i) {
            const auto key = make_api_key("key" + std::to_string(i));
            file << key.line << limits[i] << '\n';
            secrets.push_back(key.secret);
        }
    }
    ~Keys() { std::filesystem::remove(path); }
    std::vector<std::string> flags() const { return {"--api-key-file", path}; }
    std::string path;
    std::vector<std::string> secrets;
};

inline std::string with_field(std::string request, const std::string& field) {
    return request.insert(request.find("Host:"), field + "\r\n");
}

inline std::string with_key(const std::string& request, const std::string& key) {
    return with_field(request, "Authorization: Bearer " + key);
}

}  // namespace solard::server
