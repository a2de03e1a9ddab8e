#include "inference/text/utf8.hpp"

#include <algorithm>

#include "inference/text/detokenizer.hpp"

namespace solard {

std::string valid_utf8(std::string_view bytes) {
    std::string text;
    Detokenizer characters;
    characters.append(bytes, text);
    characters.flush(text);
    return text;
}

std::size_t count_characters(std::string_view bytes) {
    return static_cast<std::size_t>(
        std::ranges::count_if(bytes, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace solard
