// Converts text to tokens and back with SentencePiece and the folder's tokenizer.model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/text/marked_text.hpp"
#include "inference/token_id.hpp"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace solard {

// Immutable after load(); every member may be called from any thread.
class Tokenizer {
  public:
    // Loads tokenizer.model. `vocab_size` is the vocabulary size of the model. A tokenizer with more pieces
    // is refused. Errors: bad_model.
    static result<Tokenizer> load(const std::filesystem::path& folder, std::int32_t vocab_size);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    // Returns BOS followed by the pieces of `text`. Text that looks like a control token stays text. Throws
    // std::bad_alloc if memory is short.
    std::vector<TokenId> encode_prompt(std::string_view text) const;

    // Returns the tokens of a rendered conversation, with BOS first. BOS is not repeated if the text begins
    // with it. Control tokens are recognised, but only if trusted characters alone form them. Throws
    // std::bad_alloc if memory is short.
    std::vector<TokenId> encode_chat(const MarkedText& text) const;

    // Returns the bytes that `token` adds to a text that has already begun: a space for U+2581, one raw byte
    // for a byte piece, nothing for control tokens and for ids outside the vocabulary. The view is valid as
    // long as this object lives.
    std::string_view bytes_of(TokenId token) const;

    TokenId bos() const { return bos_; }
    // Returns the largest number of bytes of text that one token stands for. The unknown token of a
    // vocabulary without byte pieces is an exception: it may stand for more.
    std::size_t longest_piece_bytes() const { return longest_piece_bytes_; }

    std::int32_t vocab_size() const { return static_cast<std::int32_t>(bytes_.size()); }

  private:
    struct ControlPiece {
        std::string text;
        TokenId id;
    };

    Tokenizer();
    void append_pieces(std::vector<TokenId>& ids, std::string_view text) const;
    const ControlPiece* control_piece_at(std::string_view text) const;

    std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
    TokenId bos_ = 1;
    std::vector<std::string> bytes_;  // [vocab]
    std::size_t longest_piece_bytes_ = 1;
    std::vector<ControlPiece> control_pieces_;  // longer texts come first
};

}  // namespace solard
