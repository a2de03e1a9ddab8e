#include "inference/tokenizer/bpe_tokenizer.hpp"

namespace solard {

BpeTokenizer::BpeTokenizer(ObjectReader& file, std::int32_t vocab_size) {
    if (file.string("version", "1.0") != "1.0") file.refuse("version", "\"1.0\"");
    // These two apply only if a program asks for them.
    file.ignore("truncation");
    file.ignore("padding");
    if (const auto part = file.object("normalizer")) normalizer_ = Normalizer::read(*part);
    if (const auto part = file.object("pre_tokenizer")) pre_tokenizer_ = PreTokenizer::read(*part);
    if (const auto part = file.object("post_processor")) frame_ = read_post_processor(*part);
    if (const auto part = file.object("decoder")) {
        decoder_ = TokenDecoder::read(*part);
    } else {
        file.refuse("decoder", "an object");
    }
    if (decoder_.is_byte_level() != pre_tokenizer_.is_byte_level())
        file.refuse("decoder", "ByteLevel if the pre-tokenizer has ByteLevel, and only then");
    const auto alphabet = pre_tokenizer_.is_byte_level() ? BpeAlphabet::bytes : BpeAlphabet::characters;
    if (const auto part = file.object("model")) {
        model_ = Bpe::read(*part, alphabet, vocab_size);
    } else {
        file.refuse("model", "an object");
    }
    file.ignore("added_tokens");
    file.refuse_other_keys();
}

result<void> BpeTokenizer::encode(std::span<const TextPiece> pieces, std::vector<TokenId>& out) const {
    WordList words;
    BpeMemory memory;
    for (const TextPiece& piece : pieces) {
        if (piece.token >= 0) {
            out.push_back(piece.token);
            continue;
        }
        if (auto split = pre_tokenizer_.split(piece.text, piece.begins_text, words); !split) return split;
        for (const std::string_view word : words.words) model_.encode(word, memory, out);
    }
    return {};
}

}  // namespace solard
