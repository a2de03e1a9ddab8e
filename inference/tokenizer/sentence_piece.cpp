#include "inference/tokenizer/sentence_piece.hpp"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <stdexcept>

#include "inference/text/json_text.hpp"
#include "inference/tokenizer/added_token_table.hpp"
#include "inference/tokenizer/replace_all.hpp"
#include "inference/tokenizer/token_decoder.hpp"

namespace solard {
namespace {

using sentencepiece::SentencePieceProcessor;

Error bad_file(std::string what) {
    return {errc::bad_model, std::move(what)};
}

// Reads the wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), one field per call of
// next().
class WireReader {
  public:
    explicit WireReader(std::string_view bytes) : rest_(bytes) {}

    // Goes to the next field. Returns false at the end or if the bytes are malformed.
    bool next() {
        if (rest_.empty() || malformed_) return false;
        const std::uint64_t tag = varint();
        field_ = tag >> 3;
        content_ = {};
        malformed_ = malformed_ || field_ == 0;
        switch (tag & 7) {
            case 0: {
                const std::string_view before = rest_;
                varint();
                content_ = before.substr(0, before.size() - rest_.size());
                break;
            }
            case 1:
                content_ = take(8);
                break;
            case 2:
                content_ = take(varint());
                break;
            case 5:
                content_ = take(4);
                break;
            default:
                malformed_ = true;
        }
        return !malformed_;
    }
    std::uint64_t field() const { return field_; }
    std::string_view content() const { return content_; }  // of a varint, its bytes
    bool malformed() const { return malformed_; }

  private:
    std::string_view take(std::uint64_t size) {
        malformed_ = malformed_ || size > rest_.size();
        if (malformed_) return {};
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::string_view byte = take(1);
            if (byte.empty()) return 0;
            value |= std::uint64_t{static_cast<unsigned char>(byte[0]) & 0x7FU} << shift;
            if ((byte[0] & 0x80) == 0) return value;
        }
        malformed_ = true;
        return 0;
    }

    std::string_view rest_;
    std::string_view content_;
    std::uint64_t field_ = 0;
    bool malformed_ = false;
};

// Returns true if the model has a table of character replacements, or if the model cannot be read.
// SentencePiece walks that table without checking bounds, so that a damaged table makes it read anywhere in
// memory. Llama's tokenizers have no such table, so a model that has a table is not passed to SentencePiece.
// The field numbers are those of sentencepiece_model.proto.
bool may_have_normalization_table(std::string_view model) {
    constexpr std::uint64_t normalizer_spec = 3;
    constexpr std::uint64_t denormalizer_spec = 5;
    constexpr std::uint64_t precompiled_charsmap = 2;
    WireReader fields(model);
    while (fields.next()) {
        if (fields.field() != normalizer_spec && fields.field() != denormalizer_spec) continue;
        WireReader spec(fields.content());
        while (spec.next()) {
            if (spec.field() == precompiled_charsmap && !spec.content().empty()) return true;
        }
        if (spec.malformed()) return true;
    }
    return fields.malformed();
}

// SentencePiece finds user-defined pieces in every text. Returns the model with those that look like markup
// as control pieces, which are found only where the caller looks for special tokens.
std::string with_markup_as_control(std::string_view model) {
    constexpr std::uint64_t pieces = 1;
    constexpr std::uint64_t text_of_piece = 1;
    constexpr std::uint64_t type_of_piece = 3;
    constexpr std::string_view user_defined = "\x04";
    constexpr char control = 3;
    std::string changed(model);
    WireReader fields(model);
    while (fields.next()) {
        if (fields.field() != pieces) continue;
        std::string_view text;
        std::string_view type;
        WireReader piece(fields.content());
        while (piece.next()) {
            if (piece.field() == text_of_piece) text = piece.content();
            if (piece.field() == type_of_piece) type = piece.content();
        }
        if (type != user_defined || !looks_like_markup(text)) continue;
        changed[static_cast<std::size_t>(type.data() - model.data())] = control;
    }
    return changed;
}

constexpr std::string_view visible_space = "\xE2\x96\x81";  // U+2581

result<std::string> bytes_of_piece(const SentencePieceProcessor& processor, int id) {
    const std::string& piece = processor.IdToPiece(id);
    const auto fail = [&](std::string_view what) {
        return bad_file("piece " + std::to_string(id) + " " + quoted_name(piece) + ": " + std::string(what));
    };
    if (!std::isfinite(processor.GetScore(id)))
        return fail("its score is NaN or infinite, expected a finite number");
    if (processor.IsControl(id) || processor.IsUnknown(id)) return std::string();
    if (!processor.IsByte(id)) return replace_all(piece, visible_space, " ");
    const auto byte = parse_byte_piece(piece);
    if (!byte) return fail("is marked as a byte, expected a text such as <0x0A>");
    return std::string(1, *byte);
}

// Returns a character that is part of no piece.
std::string unused_character(const SentencePieceProcessor& processor) {
    for (char c = 1; c < 0x20; ++c) {
        bool is_used = false;
        for (int id = 0; id < processor.GetPieceSize() && !is_used; ++id)
            is_used = processor.IdToPiece(id).find(c) != std::string::npos;
        if (!is_used) return {c};
    }
    return {};
}

// SentencePiece ends the process if an allocation fails. To prevent this, throws std::bad_alloc if less
// memory is available than SentencePiece may need.
void require_memory_to_encode(std::size_t num_bytes) {
    constexpr std::size_t memory_per_byte = 512;  // an upper estimate, like memory_of_call
    constexpr std::size_t memory_of_call = 64 << 10;
    ::operator delete(::operator new(memory_of_call + num_bytes * memory_per_byte));
}

}  // namespace

SentencePiece::SentencePiece() : processor_(std::make_unique<SentencePieceProcessor>()) {}
SentencePiece::~SentencePiece() = default;

result<std::unique_ptr<SentencePiece>> SentencePiece::read(std::string_view model, std::int32_t vocab_size,
                                                           DummyPrefix prefix) {
    if (may_have_normalization_table(model)) {
        return bad_file(
            "has a normalization table or is damaged, expected a SentencePiece model without a normalization "
            "table");
    }
    std::unique_ptr<SentencePiece> pieces(new SentencePiece);
    SentencePieceProcessor& processor = *pieces->processor_;
    if (const auto status = processor.LoadFromSerializedProto(with_markup_as_control(model)); !status.ok()) {
        return bad_file("cannot be loaded, expected a SentencePiece model: " + std::string(status.message()));
    }
    const int num_pieces = processor.GetPieceSize();
    if (num_pieces < 1 || num_pieces > vocab_size) {
        return bad_file("has " + std::to_string(num_pieces) + " pieces, expected 1 to " +
                        std::to_string(vocab_size) + " (vocab_size)");
    }
    if (processor.bos_id() < 0)
        return bad_file("has no control piece for the beginning of a text (bos), expected such a piece");
    for (int id = 0; id < num_pieces; ++id) {
        auto bytes = bytes_of_piece(processor, id);
        if (!bytes) return bytes.error();
        pieces->bytes_.push_back(std::move(*bytes));
    }
    pieces->prefix_ = prefix;
    if (prefix != DummyPrefix::every_piece) {
        pieces->separator_ = unused_character(processor);
        if (pieces->separator_.empty())
            return bad_file(
                "has every control character in a piece, which \"legacy\": false does not support");
        std::vector<TokenId> tokens;
        pieces->encode_text(pieces->separator_, true, tokens);
        pieces->num_separator_tokens_ = tokens.size();
    }
    return pieces;
}

result<void> SentencePiece::encode(std::span<const TextPiece> pieces, std::vector<TokenId>& out) const {
    for (const TextPiece& piece : pieces) {
        if (piece.token >= 0) {
            out.push_back(piece.token);
            continue;
        }
        const bool with_prefix =
            prefix_ == DummyPrefix::every_piece || (prefix_ == DummyPrefix::first_piece && piece.begins_text);
        encode_text(piece.text, with_prefix, out);
    }
    return {};
}

void SentencePiece::encode_text(std::string_view text, bool with_prefix, std::vector<TokenId>& out) const {
    require_memory_to_encode(text.size());
    std::vector<TokenId> tokens;
    const auto status = with_prefix ? processor_->Encode(text, &tokens)
                                    : processor_->Encode(separator_ + std::string(text), &tokens);
    if (!status.ok()) throw std::runtime_error("sentencepiece: " + std::string(status.message()));
    const std::size_t skipped = with_prefix ? 0 : std::min(num_separator_tokens_, tokens.size());
    out.insert(out.end(), tokens.begin() + static_cast<std::ptrdiff_t>(skipped), tokens.end());
}

TokenId SentencePiece::bos() const {
    return processor_->bos_id();
}

TokenId SentencePiece::eos() const {
    return processor_->eos_id();
}

std::string_view SentencePiece::text_of(TokenId id) const {
    return id < num_pieces() ? std::string_view(processor_->IdToPiece(id)) : std::string_view();
}

TokenId SentencePiece::find(std::string_view text) const {
    const TokenId id = processor_->PieceToId(text);
    return text_of(id) == text ? id : -1;
}

std::vector<TokenId> SentencePiece::special_pieces() const {
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < num_pieces(); ++id) {
        if (processor_->IsControl(id) || processor_->IsUnknown(id)) ids.push_back(id);
    }
    return ids;
}

}  // namespace solard
