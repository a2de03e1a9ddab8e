#include "inference/model/tokenizer.hpp"

#include <sentencepiece_processor.h>
#include <algorithm>

#include <charconv>
#include <cmath>
#include <new>
#include <optional>

#include "inference/model/model_file.hpp"

namespace solard {
namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::uint64_t max_tokenizer_bytes = std::uint64_t{64} << 20;

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
            case 0:
                varint();
                break;
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
    std::string_view content() const { return content_; }  // empty for varints
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

// Returns the byte that a piece such as <0x0A> stands for.
std::optional<char> parse_byte_piece(std::string_view piece) {
    constexpr std::string_view prefix = "<0x";
    if (piece.size() != 6 || !piece.starts_with(prefix) || !piece.ends_with('>')) return std::nullopt;
    unsigned char byte = 0;
    const char* end = piece.data() + 5;
    const auto [parsed, ec] = std::from_chars(piece.data() + prefix.size(), end, byte, 16);
    if (ec != std::errc() || parsed != end) return std::nullopt;
    return static_cast<char>(byte);
}

std::string with_spaces(std::string_view piece) {
    constexpr std::string_view visible_space = "\xE2\x96\x81";  // U+2581
    std::string text;
    while (!piece.empty()) {
        const bool is_space = piece.starts_with(visible_space);
        text += is_space ? ' ' : piece.front();
        piece.remove_prefix(is_space ? visible_space.size() : 1);
    }
    return text;
}

result<std::string> bytes_of_piece(const SentencePieceProcessor& processor, int id,
                                   const std::filesystem::path& file) {
    const std::string& piece = processor.IdToPiece(id);
    const auto fail = [&](std::string_view what) {
        return bad_model(file,
                         "piece " + std::to_string(id) + " " + quoted_name(piece) + ": " + std::string(what));
    };
    if (!std::isfinite(processor.GetScore(id)))
        return fail("its score is NaN or infinite, expected a finite number");
    if (processor.IsControl(id) || processor.IsUnknown(id)) return std::string();
    if (!processor.IsByte(id)) return with_spaces(piece);
    const auto byte = parse_byte_piece(piece);
    if (!byte) return fail("is marked as a byte, expected a text such as <0x0A>");
    return std::string(1, *byte);
}

// SentencePiece ends the process if an allocation fails. To prevent this, throws std::bad_alloc if less
// memory is available than SentencePiece may need.
void require_memory_to_encode(std::size_t num_bytes) {
    constexpr std::size_t memory_per_byte = 512;  // an upper estimate, like memory_of_call
    constexpr std::size_t memory_of_call = 64 << 10;
    ::operator delete(::operator new(memory_of_call + num_bytes * memory_per_byte));
}

}  // namespace

Tokenizer::Tokenizer() : processor_(std::make_unique<SentencePieceProcessor>()) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

result<Tokenizer> Tokenizer::load(const std::filesystem::path& folder, std::int32_t vocab_size) {
    const std::filesystem::path file = folder / "tokenizer.model";
    const auto model = read_model_file(file, max_tokenizer_bytes);
    if (!model) return model.error();
    if (may_have_normalization_table(*model)) {
        return bad_model(file,
                         "has a normalization table or is damaged, expected a SentencePiece model without a "
                         "normalization table");
    }
    Tokenizer tokenizer;
    SentencePieceProcessor& processor = *tokenizer.processor_;
    if (const auto status = processor.LoadFromSerializedProto(*model); !status.ok()) {
        return bad_model(
            file, "cannot be loaded, expected a SentencePiece model: " + std::string(status.message()));
    }
    const int num_pieces = processor.GetPieceSize();
    if (num_pieces < 1 || num_pieces > vocab_size) {
        return bad_model(file, "has " + std::to_string(num_pieces) + " pieces, expected 1 to " +
                                   std::to_string(vocab_size) + " (vocab_size)");
    }
    tokenizer.bos_ = processor.bos_id();
    if (tokenizer.bos_ < 0) {
        return bad_model(file,
                         "has no control piece for the beginning of a text (bos), expected such a piece");
    }
    for (int id = 0; id < num_pieces; ++id) {
        auto bytes = bytes_of_piece(processor, id, file);
        if (!bytes) return bytes.error();
        tokenizer.longest_piece_bytes_ = std::max(tokenizer.longest_piece_bytes_, bytes->size());
        tokenizer.bytes_.push_back(std::move(*bytes));
        if (processor.IsControl(id)) tokenizer.control_pieces_.push_back({processor.IdToPiece(id), id});
    }
    std::ranges::stable_sort(tokenizer.control_pieces_, std::ranges::greater{},
                             [](const ControlPiece& piece) { return piece.text.size(); });
    return tokenizer;
}

std::vector<TokenId> Tokenizer::encode_prompt(std::string_view text) const {
    std::vector<TokenId> ids{bos_};
    append_pieces(ids, text);
    return ids;
}

std::vector<TokenId> Tokenizer::encode_chat(const MarkedText& text) const {
    const std::string_view bytes = text.bytes();
    std::vector<TokenId> ids;
    std::size_t begin = 0;  // of the text that is not encoded yet
    std::size_t at = 0;
    for (const MarkedText::Run& run : text.runs()) {
        if (run.trust == Trust::untrusted) at = run.end;
        while (at < run.end) {
            const ControlPiece* const piece = control_piece_at(bytes.substr(at, run.end - at));
            if (piece == nullptr) {
                ++at;
                continue;
            }
            append_pieces(ids, bytes.substr(begin, at - begin));
            ids.push_back(piece->id);
            at += piece->text.size();
            begin = at;
        }
    }
    append_pieces(ids, bytes.substr(begin));
    if (ids.empty() || ids.front() != bos_) ids.insert(ids.begin(), bos_);
    return ids;
}

// Appends the pieces of a text without special tokens.
void Tokenizer::append_pieces(std::vector<TokenId>& ids, std::string_view text) const {
    if (text.empty()) return;
    require_memory_to_encode(text.size());
    std::vector<TokenId> pieces;
    if (const auto status = processor_->Encode(text, &pieces); !status.ok()) {
        throw std::runtime_error("sentencepiece: " + std::string(status.message()));
    }
    ids.insert(ids.end(), pieces.begin(), pieces.end());
}

// Returns the control token at the beginning of the text, or a null pointer.
const Tokenizer::ControlPiece* Tokenizer::control_piece_at(std::string_view text) const {
    const auto begins = [&](const ControlPiece& piece) { return text.starts_with(piece.text); };
    const auto found = std::ranges::find_if(control_pieces_, begins);
    return found != control_pieces_.end() ? &*found : nullptr;
}

std::string_view Tokenizer::bytes_of(TokenId token) const {
    if (token < 0 || token >= vocab_size()) return {};
    return bytes_[static_cast<std::size_t>(token)];
}

}  // namespace solard
