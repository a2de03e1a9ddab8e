#include "inference/grammar/vocabulary.hpp"

#include <cstring>
#include <optional>

#include "inference/sizes.hpp"

namespace solard {
namespace {

void append_number(std::string& out, std::size_t value) {
    const auto number = static_cast<std::uint32_t>(value);
    out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// Reads numbers and texts from the front of the bytes. After a fault, everything is empty.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::size_t number() {
        std::uint32_t value = 0;
        const std::string_view bytes = take(sizeof value);
        if (!failed_) std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string_view take(std::size_t size) {
        failed_ = failed_ || size > rest_.size();
        if (failed_) return {};
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    bool failed() const { return failed_; }
    bool at_end() const { return rest_.empty(); }

  private:
    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace

GrammarVocabulary grammar_vocabulary(const Tokenizer& tokenizer, std::int32_t vocab_size,
                                     std::span<const TokenId> end_tokens, std::string_view shown) {
    GrammarVocabulary vocabulary;
    vocabulary.texts.reserve(count_of(vocab_size));
    for (TokenId token = 0; token < vocab_size; ++token) {
        const bool is_shown = !shown.empty() && tokenizer.bytes_of(token, false) == shown;
        vocabulary.texts.emplace_back(tokenizer.bytes_of(token, !is_shown));
    }
    vocabulary.end_tokens.assign(end_tokens.begin(), end_tokens.end());
    return vocabulary;
}

std::string packed(const GrammarVocabulary& vocabulary) {
    std::string out;
    append_number(out, vocabulary.end_tokens.size());
    for (const TokenId token : vocabulary.end_tokens) append_number(out, count_of(token));
    append_number(out, vocabulary.texts.size());
    for (const std::string& text : vocabulary.texts) {
        append_number(out, text.size());
        out += text;
    }
    return out;
}

result<GrammarVocabulary> unpacked(std::string_view bytes) {
    GrammarVocabulary vocabulary;
    Reader reader(bytes);
    for (std::size_t left = reader.number(); left > 0 && !reader.failed(); --left)
        vocabulary.end_tokens.push_back(static_cast<TokenId>(reader.number()));
    for (std::size_t left = reader.number(); left > 0 && !reader.failed(); --left)
        vocabulary.texts.emplace_back(reader.take(reader.number()));
    if (reader.failed() || !reader.at_end())
        return Error{errc::bad_model, "the packed vocabulary is damaged"};
    return vocabulary;
}

}  // namespace solard
