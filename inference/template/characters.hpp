// The characters of a UTF-8 text. All texts of the interpreter are valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace solard::jinja {

// Returns the number of bytes of the character that begins with this byte.
constexpr std::size_t character_size(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
// Returns the size of the last character of a text that is not empty.
std::size_t last_character_size(std::string_view text);
// Returns the first character of a text that is not empty.
char32_t first_character(std::string_view text);
void append_character(std::string& text, char32_t character);

// Returns true for the characters which Python's str.isspace() and the pattern \s accept.
bool is_space(char32_t character);
// Returns true for the characters which Python prints as they are in the repr() of a string. Unassigned
// characters count as printable.
bool is_printable(char32_t character);

// Appends the character in upper or lower case, or the character itself if it has none.
void append_upper(std::string& text, char32_t character);
void append_lower(std::string& text, char32_t character);
// Returns true if the character has an upper or a lower case.
bool is_cased(char32_t character);
bool is_upper(char32_t character);
bool is_lower(char32_t character);

}  // namespace solard::jinja
