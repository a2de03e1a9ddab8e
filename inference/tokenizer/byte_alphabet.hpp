// The alphabet of byte-level BPE: one visible character for each byte. Source: bytes_to_unicode() of GPT-2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace solard {

// Returns the bytes that the characters of `text` stand for, or nothing if a character is not in the
// alphabet.
std::optional<std::string> bytes_of_byte_characters(std::string_view text);

}  // namespace solard
