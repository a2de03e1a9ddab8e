#include "server/config/text_file.hpp"

#include <algorithm>
#include <fstream>

#include "inference/text/utf8.hpp"
#include "server/config/text.hpp"

namespace solard::server {

result<std::vector<TextLine>> read_text_lines(const std::string& path, std::string_view kind) {
    std::ifstream file(path);
    std::vector<TextLine> lines;
    for (std::string line; std::getline(file, line);) {
        if (lines.empty()) line = without_byte_order_mark(line);
        const std::string where = path + ":" + std::to_string(lines.size() + 1);
        const std::size_t wrong = std::min(line.find('\0'), find_invalid_utf8(line));
        if (wrong != std::string::npos) {
            const auto byte = static_cast<unsigned char>(line[wrong]);
            const auto column = count_characters(std::string_view(line).substr(0, wrong)) + 1;
            return Error{errc::bad_configuration, where + ":" + std::to_string(column) +
                                                      ": found the byte 0x" + hex_digits[byte >> 4] +
                                                      hex_digits[byte & 15] + "; " + std::string(kind) +
                                                      " must be text in UTF-8"};
        }
        lines.push_back({std::move(line), where});
    }
    if (!file.is_open() || file.bad())
        return Error{errc::bad_configuration, path + ": " + std::string(kind) + " cannot be read"};
    return lines;
}

}  // namespace solard::server
