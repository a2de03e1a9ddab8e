#include "inference/text/detokenizer.hpp"

#include <utility>

namespace solard {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

// Returns the size in bytes of a character which begins with `lead`, or 0 if no character begins with `lead`.
unsigned character_size(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;  // a continuation byte, or the lead of an overlong form
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) return 3;
    return lead < 0xF5 ? 4 : 0;
}

// Returns the lowest and the highest byte which may follow `lead`. The range is narrower than 80..BF if it
// would otherwise allow overlong forms, surrogates or values above U+10FFFF (Unicode 15, table 3-7).
std::pair<unsigned char, unsigned char> second_byte_range(unsigned char lead) {
    switch (lead) {
        case 0xE0:
            return {0xA0, 0xBF};
        case 0xED:
            return {0x80, 0x9F};
        case 0xF0:
            return {0x90, 0xBF};
        case 0xF4:
            return {0x80, 0x8F};
        default:
            return {0x80, 0xBF};
    }
}

bool continues(std::string_view held, unsigned char byte) {
    if (held.size() > 1) return byte >= 0x80 && byte <= 0xBF;
    const auto [low, high] = second_byte_range(static_cast<unsigned char>(held[0]));
    return byte >= low && byte <= high;
}

}  // namespace

void Detokenizer::append(std::string_view bytes, std::string& out) {
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (held_size_ > 0 && !continues({held_, held_size_}, byte)) flush(out);
        if (held_size_ == 0 && character_size(byte) == 0) {
            out += replacement;
            continue;
        }
        held_[held_size_++] = c;
        if (held_size_ == character_size(static_cast<unsigned char>(held_[0]))) {
            out.append(held_, held_size_);
            held_size_ = 0;
        }
    }
}

void Detokenizer::flush(std::string& out) {
    if (held_size_ > 0) out += replacement;
    held_size_ = 0;
}

}  // namespace solard
