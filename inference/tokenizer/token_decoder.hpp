// Turns the text that a vocabulary has for a token into the bytes that the token stands for: the part
// "decoder" of tokenizer.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/tokenizer/object_reader.hpp"
#include "inference/tokenizer/replace_all.hpp"

namespace solard {

// Immutable after read(); any thread may use it.
class TokenDecoder {
  public:
    // Reads the object "decoder": ByteLevel, or a Sequence of Replace, ByteFallback, Fuse, and at last a
    // Strip of one space at the beginning. A problem is recorded in the reader.
    static TokenDecoder read(ObjectReader decoder);
    // Returns the decoder of added tokens beside a tokenizer.model. U+2581 stands for a space.
    static TokenDecoder of_sentence_piece();

    bool is_byte_level() const { return is_byte_level_; }
    // Returns true if a space at the beginning of a whole text does not belong to the text (Strip).
    bool strips_space() const { return strips_space_; }

    // Returns the bytes of a token of the vocabulary.
    std::string bytes_of(std::string_view text) const;
    // Returns the bytes of an added token. ByteLevel's alphabet does not apply to them, because their text is
    // written as it is.
    std::string bytes_of_added(std::string_view text) const;

  private:
    void add(ObjectReader& reader);
    std::vector<Replacement> replacements_;
    bool is_byte_level_ = false;
    bool has_byte_fallback_ = false;
    bool is_fused_ = false;
    bool strips_space_ = false;
};

// Returns the byte that a text such as <0x0A> stands for.
std::optional<char> parse_byte_piece(std::string_view text);

}  // namespace solard
