#include "inference/tokenizer/token_decoder.hpp"

#include <charconv>
#include <system_error>

#include "inference/tokenizer/byte_alphabet.hpp"

namespace solard {

TokenDecoder TokenDecoder::read(ObjectReader reader) {
    TokenDecoder decoder;
    decoder.add(reader);
    return decoder;
}

TokenDecoder TokenDecoder::of_sentence_piece() {
    TokenDecoder decoder;
    decoder.replacements_.push_back({"\xE2\x96\x81", " "});
    return decoder;
}

void TokenDecoder::add(ObjectReader& reader) {
    const std::string type = reader.string("type");
    if (strips_space_) reader.refuse("type", "nothing after Strip, which must be the last");
    if (type == "Sequence") {
        for (ObjectReader& step : reader.objects("decoders")) add(step);
    } else if (type == "ByteLevel") {
        if (!replacements_.empty() || has_byte_fallback_) reader.refuse("type", "ByteLevel alone");
        is_byte_level_ = true;
        for (const auto* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.ignore(key);
    } else if (type == "Replace" && !has_byte_fallback_ && !is_byte_level_) {
        replacements_.push_back(read_replacement(reader));
    } else if (type == "ByteFallback") {
        has_byte_fallback_ = true;
    } else if (type == "Fuse") {
        is_fused_ = true;
    } else if (type == "Strip" && is_fused_) {
        strips_space_ = true;
        if (reader.string("content") != " ") reader.refuse("content", "\" \"");
        if (reader.integer("start") != 1) reader.refuse("start", "1");
        if (reader.integer("stop") != 0) reader.refuse("stop", "0");
    } else {
        reader.refuse(
            "type",
            "ByteLevel, or a Sequence of Replace, ByteFallback, Fuse and Strip in this order (other "
            "decoders are not supported)");
    }
    reader.refuse_other_keys();
}

std::string TokenDecoder::bytes_of(std::string_view text) const {
    if (is_byte_level_) {
        // A text with characters outside the alphabet stands for itself.
        return bytes_of_byte_characters(text).value_or(std::string(text));
    }
    return bytes_of_added(text);
}

std::string TokenDecoder::bytes_of_added(std::string_view text) const {
    std::string replaced(text);
    for (const Replacement& replacement : replacements_)
        replaced = replace_all(replaced, replacement.pattern, replacement.content);
    if (const auto byte = has_byte_fallback_ ? parse_byte_piece(replaced) : std::nullopt) return {*byte};
    return replaced;
}

std::optional<char> parse_byte_piece(std::string_view text) {
    constexpr std::string_view prefix = "<0x";
    if (text.size() != 6 || !text.starts_with(prefix) || !text.ends_with('>')) return std::nullopt;
    unsigned char byte = 0;
    const char* end = text.data() + 5;
    const auto [parsed, ec] = std::from_chars(text.data() + prefix.size(), end, byte, 16);
    if (ec != std::errc() || parsed != end) return std::nullopt;
    return static_cast<char>(byte);
}

}  // namespace solard
