// The tokenizer that tokenizer.model describes, run by the library SentencePiece.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/tokenizer/text_piece.hpp"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace solard {

// Where a space is put before a text.
enum class DummyPrefix : std::uint8_t {
    every_piece,  // before the text, and after each added token ("legacy" in tokenizer_config.json)
    first_piece,  // before the text only
    none,
};

// Immutable; any thread may use it.
class SentencePiece : public TextEncoder {
  public:
    // Reads the bytes of a tokenizer.model with at most `vocab_size` pieces. Errors: bad_model, with a clause
    // that says what is wrong with the file.
    static result<std::unique_ptr<SentencePiece>> read(std::string_view model, std::int32_t vocab_size,
                                                       DummyPrefix prefix);
    ~SentencePiece() override;

    result<void> encode(std::span<const TextPiece> pieces, std::vector<TokenId>& out) const override;

    std::int32_t num_pieces() const { return static_cast<std::int32_t>(bytes_.size()); }
    TokenId bos() const;
    TokenId eos() const;  // -1 if the model has none
    // Returns the text of a piece as the file has it, or "" for an unknown id.
    std::string_view text_of(TokenId id) const;
    // Returns -1 if there is no such piece.
    TokenId find(std::string_view text) const;
    // Returns the bytes that a piece adds to a text, or nothing for control pieces and the unknown piece.
    const std::string& bytes_of(TokenId id) const { return bytes_[static_cast<std::size_t>(id)]; }
    // Returns the control pieces and the unknown piece.
    std::vector<TokenId> special_pieces() const;

  private:
    SentencePiece();
    void encode_text(std::string_view text, bool with_prefix, std::vector<TokenId>& out) const;

    std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
    DummyPrefix prefix_ = DummyPrefix::every_piece;
    // A character that is part of no piece, and how many tokens it has at the beginning of a text. A text is
    // encoded after it if no space must be put before the text.
    std::string separator_;
    std::size_t num_separator_tokens_ = 0;
    std::vector<std::string> bytes_;  // [num_pieces]
};

}  // namespace solard
