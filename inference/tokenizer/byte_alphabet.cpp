#include "inference/tokenizer/byte_alphabet.hpp"

#include <array>
#include <cstdint>

#include "inference/text/utf8.hpp"

namespace solard {
namespace {

constexpr std::uint32_t first_substitute = 0x100;
constexpr std::size_t num_substitutes = 68;

constexpr bool stands_for_itself(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

// The bytes without a visible character of the same number. They have the characters from U+0100 on.
constexpr std::array<char, num_substitutes> substituted_bytes = [] {
    std::array<char, num_substitutes> bytes{};
    std::size_t count = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
        if (!stands_for_itself(byte)) bytes.at(count++) = static_cast<char>(byte);
    }
    return bytes;
}();

}  // namespace

std::optional<std::string> bytes_of_byte_characters(std::string_view text) {
    std::string bytes;
    while (!text.empty()) {
        const std::uint32_t character = take_character(text);
        if (character < first_substitute && stands_for_itself(character)) {
            bytes += static_cast<char>(character);
        } else if (character >= first_substitute && character - first_substitute < num_substitutes) {
            bytes += substituted_bytes.at(character - first_substitute);
        } else {
            return std::nullopt;
        }
    }
    return bytes;
}

}  // namespace solard
