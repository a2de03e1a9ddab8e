#include "inference/tokenizer/added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "inference/text/utf8.hpp"
#include "inference/tokenizer/split_pattern.hpp"

namespace solard {
namespace {

// Returns true for the property White_Space of Unicode.
bool is_white_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Returns the last character of `text`, which must not be empty.
std::string_view last_character(std::string_view text) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && is_continuation(text[begin])) --begin;
    return text.substr(begin);
}

std::string_view first_character(std::string_view text) {
    std::string_view rest = text;
    take_character(rest);
    return text.substr(0, text.size() - rest.size());
}

std::size_t without_space_at_end(std::string_view text) {
    while (!text.empty()) {
        std::string_view last = last_character(text);
        const std::size_t size = last.size();
        if (!is_white_space(take_character(last))) break;
        text.remove_suffix(size);
    }
    return text.size();
}

std::size_t space_at_begin(std::string_view text) {
    std::string_view rest = text;
    while (!rest.empty()) {
        std::string_view next = rest;
        if (!is_white_space(take_character(next))) break;
        rest = next;
    }
    return text.size() - rest.size();
}

// Returns true if a word can contain the character. This is \w of the crate regex, which uses Unicode's
// recommendation for words (UTS #18, annex C).
bool is_word_character(std::string_view character) {
    static const SplitPattern pattern =
        SplitPattern::regular_expression(
            R"([^\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\x{200C}\x{200D}])")
            .value();
    return !pattern.matches(character);
}

// Returns where `part` begins in `whole`, whose bytes it refers to.
std::size_t offset_in(const MarkedText& whole, std::string_view part) {
    return static_cast<std::size_t>(part.data() - whole.bytes().data());
}

}  // namespace

void AddedTokens::Tree::add(std::string_view content, std::size_t token) {
    std::uint32_t node = 0;
    for (const char byte : content) {
        const auto next = static_cast<std::uint32_t>(ends_.size());
        const auto key = std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
        const auto [child, is_new] = children_.emplace(key, next);
        if (is_new) ends_.push_back(no_token);
        node = child->second;
    }
    ends_[node] = static_cast<std::uint32_t>(token);
}

AddedTokens::Tree::Match AddedTokens::Tree::longest(std::string_view text) const {
    Match match;
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto child = children_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
        if (child == children_.end()) break;
        node = child->second;
        if (ends_[node] != no_token) match = {i + 1, ends_[node]};
    }
    return match;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, Normalizer normalizer)
    : tokens_(std::move(tokens)), normalizer_(std::move(normalizer)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        const AddedToken& token = tokens_[i];
        if (token.normalized) {
            const MarkedText content(token.content, Trust::trusted);
            normalized_.add(normalizer_.apply(content).bytes(), i);
        } else {
            raw_.add(token.content, i);
        }
    }
}

AddedTokens::Pieces AddedTokens::split(const MarkedText& text) const {
    Pieces pieces;
    std::vector<TextPiece> raw;
    split_by(raw_, text, {text.bytes(), -1, true}, raw);
    for (const TextPiece& piece : raw) {
        if (piece.token >= 0) {
            pieces.list.push_back(piece);
        } else if (normalizer_.changes_nothing()) {
            split_by(normalized_, text, piece, pieces.list);
        } else {
            const MarkedText part = text.part(offset_in(text, piece.text), piece.text.size());
            const MarkedText& whole = pieces.normalized.emplace_back(normalizer_.apply(part));
            split_by(normalized_, whole, {whole.bytes(), -1, piece.begins_text}, pieces.list);
        }
    }
    return pieces;
}

// Splits `piece`, whose text is a part of `whole`.
void AddedTokens::split_by(const Tree& tree, const MarkedText& whole, TextPiece piece,
                           std::vector<TextPiece>& pieces) const {
    const std::string_view text = piece.text;
    const std::size_t offset = offset_in(whole, text);
    std::size_t begin = 0;  // of the text that is not appended yet
    const auto append_text = [&](std::size_t end) {
        if (end > begin)
            pieces.push_back({text.substr(begin, end - begin), -1, piece.begins_text && begin == 0});
    };
    for (std::size_t place = 0; !tree.empty() && place < text.size();) {
        const Tree::Match match = tree.longest(text.substr(place));
        if (match.size == 0) {
            ++place;
            continue;
        }
        const AddedToken& token = tokens_[match.token];
        std::size_t token_begin = place;
        std::size_t token_end = place + match.size;
        place = token_end;
        if (token.is_markup && !whole.is_trusted(offset + token_begin, match.size)) continue;
        const std::string_view before = text.substr(0, token_begin);
        const std::string_view after = text.substr(token_end);
        if (token.single_word && ((!before.empty() && is_word_character(last_character(before))) ||
                                  (!after.empty() && is_word_character(first_character(after)))))
            continue;
        if (token.lstrip) token_begin = std::max(begin, without_space_at_end(before));
        if (token.rstrip) token_end += space_at_begin(after);
        append_text(token_begin);
        pieces.push_back({{}, token.id, false});
        begin = token_end;
    }
    append_text(text.size());
}

}  // namespace solard
