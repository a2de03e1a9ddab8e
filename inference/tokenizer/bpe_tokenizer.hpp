// The tokenizer that tokenizer.json describes: BPE with byte fallback, or byte-level BPE.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "inference/tokenizer/bpe.hpp"
#include "inference/tokenizer/normalizer.hpp"
#include "inference/tokenizer/post_processor.hpp"
#include "inference/tokenizer/pre_tokenizer.hpp"
#include "inference/tokenizer/text_piece.hpp"
#include "inference/tokenizer/token_decoder.hpp"

namespace solard {

// The parts of tokenizer.json besides its added tokens.
class BpeTokenizer : public TextEncoder {
  public:
    // Reads the whole file except "added_tokens". Token ids must be less than `vocab_size`. A problem is
    // recorded in the reader.
    BpeTokenizer(ObjectReader& file, std::int32_t vocab_size);

    result<void> encode(std::span<const TextPiece> pieces, std::vector<TokenId>& out) const override;

    // Text never becomes these tokens from now on. Must be called before other threads use this object.
    void forget(const std::unordered_set<TokenId>& tokens) { model_.forget(tokens); }

    const Bpe& model() const { return model_; }
    const Normalizer& normalizer() const { return normalizer_; }
    const TextFrame& frame() const { return frame_; }
    const TokenDecoder& decoder() const { return decoder_; }

  private:
    Normalizer normalizer_;
    PreTokenizer pre_tokenizer_;
    Bpe model_;
    TextFrame frame_;
    TokenDecoder decoder_;
};

}  // namespace solard
