#include "inference/template/characters.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace solard::jinja {
namespace {

struct CaseRow {
    char32_t first;
    char32_t last;
    char32_t step;
    std::int32_t delta;
};
struct CaseSeveral {
    char32_t character;
    std::string_view changed;
};
#include "inference/template/case_table.inc"

void append_changed(std::string& text, char32_t character, std::span<const CaseRow> rows,
                    std::span<const CaseSeveral> several) {
    const auto expansion = std::ranges::lower_bound(several, character, {}, &CaseSeveral::character);
    if (expansion != several.end() && expansion->character == character) {
        text += expansion->changed;
        return;
    }
    // The characters of two rows can alternate, so the row is one of the last two that begin early enough.
    const auto end = std::ranges::upper_bound(rows, character, {}, &CaseRow::first);
    const auto begin = end - std::min<std::ptrdiff_t>(2, end - rows.begin());
    for (const CaseRow& row : std::span(begin, end)) {
        if (character <= row.last && (character - row.first) % row.step == 0) {
            append_character(text, static_cast<char32_t>(static_cast<std::int32_t>(character) + row.delta));
            return;
        }
    }
    append_character(text, character);
}

std::string only(char32_t character) {
    std::string text;
    append_character(text, character);
    return text;
}

bool is_within(char32_t character, char32_t first, char32_t last) {
    return first <= character && character <= last;
}

}  // namespace

std::size_t last_character_size(std::string_view text) {
    std::size_t size = 1;
    while (size < text.size() && (static_cast<unsigned char>(text[text.size() - size]) & 0xC0) == 0x80)
        ++size;
    return size;
}

char32_t first_character(std::string_view text) {
    const std::size_t size = std::min(character_size(text.front()), text.size());
    const auto byte = static_cast<unsigned char>(text.front());
    char32_t character = size == 1 ? byte : byte & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i)
        character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
    return character;
}

void append_character(std::string& text, char32_t character) {
    const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    if (character < 0x80) {
        text += byte(character);
        return;
    }
    const int rest = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    text += byte((0xFF00U >> (rest + 1) & 0xFFU) | character >> (6 * rest));
    for (int i = rest - 1; i >= 0; --i) text += byte(0x80 | (character >> (6 * i) & 0x3F));
}

bool is_space(char32_t c) {
    return is_within(c, 0x09, 0x0D) || is_within(c, 0x1C, 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           is_within(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

bool is_printable(char32_t c) {
    const bool is_control = c < 0x20 || is_within(c, 0x7F, 0x9F);
    const bool is_format = c == 0xAD || is_within(c, 0x600, 0x605) || c == 0x61C || c == 0x6DD ||
                           c == 0x70F || c == 0x180E || is_within(c, 0x200B, 0x200F) ||
                           is_within(c, 0x202A, 0x202E) || is_within(c, 0x2060, 0x206F) || c == 0xFEFF ||
                           is_within(c, 0xFFF9, 0xFFFB) || is_within(c, 0xE0000, 0xE007F);
    const bool is_private = is_within(c, 0xE000, 0xF8FF) || c >= 0xF0000;
    return c == ' ' || !(is_control || is_format || is_private || is_space(c));
}

void append_upper(std::string& text, char32_t c) {
    if (c < 0x80) {
        text += static_cast<char>(is_within(c, 'a', 'z') ? c - ('a' - 'A') : c);
    } else {
        append_changed(text, c, upper_rows, upper_several);
    }
}

void append_lower(std::string& text, char32_t c) {
    if (c < 0x80) {
        text += static_cast<char>(is_within(c, 'A', 'Z') ? c + ('a' - 'A') : c);
    } else {
        append_changed(text, c, lower_rows, lower_several);
    }
}

bool is_upper(char32_t c) {
    std::string changed;
    append_lower(changed, c);
    return changed != only(c);
}

bool is_lower(char32_t c) {
    std::string changed;
    append_upper(changed, c);
    return changed != only(c) && !is_upper(c);
}

bool is_cased(char32_t c) {
    return is_upper(c) || is_lower(c);
}

}  // namespace solard::jinja
