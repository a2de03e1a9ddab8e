#include "server/config/shown.hpp"

#include "inference/text/utf8.hpp"

namespace solard::server {

std::string shown(std::string_view text) {
    constexpr std::string_view ellipsis = "...";
    // valid_utf8() never makes a text shorter, so the rest of `text` is not needed.
    std::string valid = valid_utf8(text.substr(0, 2 * max_shown_bytes));
    if (valid.size() <= max_shown_bytes) return valid;
    std::size_t end = max_shown_bytes - ellipsis.size();
    while ((static_cast<unsigned char>(valid[end]) & 0xC0) == 0x80) --end;  // to the start of a character
    valid.replace(end, std::string::npos, ellipsis);
    return valid;
}

}  // namespace solard::server
