// SentencePiece, as the folder's tokenizer.model says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/token_id.hpp"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace solard {

// Immutable after load(); every member may be called from any thread.
class Tokenizer {
  public:
    // `vocab_size` is the model's: a tokenizer with more pieces is refused. Errors: bad_model.
    static result<Tokenizer> load(const std::filesystem::path& folder, std::int32_t vocab_size);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    // BOS followed by the pieces of `text`. Text that looks like a control token stays text.
    std::vector<TokenId> encode_prompt(std::string_view text) const;

    // The bytes `token` adds to a text that already has a beginning: a space for U+2581, one raw byte for a
    // byte piece, nothing for control tokens and for ids outside the vocabulary. The view lives as long as
    // this object.
    std::string_view bytes_of(TokenId token) const;

    TokenId bos() const { return bos_; }
    // No token stands for more bytes of text than this, but for the unknown token of a vocabulary without
    // bytes.
    std::size_t longest_piece_bytes() const { return longest_piece_bytes_; }

    std::int32_t vocab_size() const { return static_cast<std::int32_t>(bytes_.size()); }

  private:
    Tokenizer();
    std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
    TokenId bos_ = 1;
    std::vector<std::string> bytes_;  // [vocab]
    std::size_t longest_piece_bytes_ = 1;
};

}  // namespace solard
