// Reads the lines of configuration files and key files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/config/error.hpp"

namespace solard::server {

struct TextLine {
    std::string text;   // without its line break
    std::string where;  // for messages: "file.conf:12"
};

// Returns the lines of a file in UTF-8; a byte order mark is skipped. Errors: bad_configuration if the file
// cannot be read, or contains a zero byte or a byte that is not valid UTF-8. `kind` names the file in the
// message, for example "the configuration file".
result<std::vector<TextLine>> read_text_lines(const std::string& path, std::string_view kind);

}  // namespace solard::server
