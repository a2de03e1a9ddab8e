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

std::size_t find_invalid_utf8(std::string_view bytes) {
    const std::string valid = valid_utf8(bytes);
    if (valid == bytes) return std::string_view::npos;
    const auto different = std::ranges::mismatch(bytes, valid).in1 - bytes.begin();
    const auto equal = bytes.substr(0, static_cast<std::size_t>(different));
    // The bytes of U+FFFD are EF BF BD. So the beginning of a broken sequence can equal its replacement.
    for (const std::string_view begin : {"\xEF", "\xEF\xBF"})
        if (equal.ends_with(begin)) return equal.size() - begin.size();
    return equal.size();
}

char32_t take_character(std::string_view& text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    // The lead byte of a longer character begins with as many ones as the character has bytes, and a zero.
    char32_t character = size == 1 ? lead : lead & (0xFFU >> (size + 1));
    for (const char c : text.substr(1, size - 1)) {
        character = character << 6 | (static_cast<unsigned char>(c) & 0x3FU);
    }
    text.remove_prefix(std::min(size, text.size()));
    return character;
}

std::string_view without_byte_order_mark(std::string_view text) {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

}  // namespace solard
