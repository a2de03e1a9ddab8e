#include "inference/grammar/grammar_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace solard {
namespace {

constexpr int max_depth = 32;
constexpr int max_lines = 2000;
constexpr std::int64_t max_count = 10'000;  // of a repetition

// These are of XGrammar, not of llama.cpp.
constexpr auto macros = std::to_array<std::string_view>(
    {"TagDispatch", "Token", "ExcludeToken", "TokenTagDispatch", "Regex", "Substring"});

bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Walks over the parts of a grammar that are neither text nor comment.
class Walker {
  public:
    // `comment` begins a comment. `quotes` are the characters that begin and end a text; a [ begins a class
    // of characters if `has_classes` is true.
    Walker(std::string_view text, std::string_view comment, std::string_view quotes, bool has_classes)
        : text_(text), comment_(comment), quotes_(quotes), has_classes_(has_classes) {}

    template <class Function>
    std::optional<std::string> walk(Function check_word) {
        while (!problem_ && position_ < text_.size()) {
            const char c = text_[position_];
            if (text_.substr(position_).starts_with(comment_)) {
                position_ = std::min(text_.find('\n', position_), text_.size());
            } else if (quotes_.find(c) != std::string_view::npos) {
                skip_until(c);
            } else if (c == '[' && has_classes_) {
                skip_until(']');
            } else if (is_name(c) || c == '%') {
                const std::size_t begin = position_++;
                while (position_ < text_.size() && is_name(text_[position_])) ++position_;
                check_number(text_.substr(begin, position_ - begin));
                check_word(*this, text_.substr(begin, position_ - begin));
            } else {
                check_sign(c);
                ++position_;
            }
        }
        if (!problem_ && depth_ > 0) fail("a bracket is not closed");
        return problem_;
    }

    // What follows the word that was read last.
    std::string_view rest() const { return text_.substr(position_); }
    void fail(const std::string& problem) {
        if (!problem_) problem_ = "line " + std::to_string(line_) + ": " + problem;
    }

  private:
    void check_sign(char c) {
        if (c == '\n' && ++line_ > max_lines)
            fail("it has more than " + std::to_string(max_lines) + " lines");
        if ((c == '(' || c == '[' || c == '{') && ++depth_ > max_depth) fail("it is nested too deeply");
        if ((c == ')' || c == ']' || c == '}') && --depth_ < 0) fail("a bracket has no opening one");
        if (c == '(' && text_.substr(position_).starts_with("(=")) fail("a lookahead is not supported");
    }

    void check_number(std::string_view word) {
        if (!std::ranges::all_of(word, is_digit)) return;
        std::int64_t value = 0;
        for (const char c : word) value = std::min(10 * value + (c - '0'), max_count + 1);
        if (value > max_count) fail("a number is above " + std::to_string(max_count));
    }

    void skip_until(char end) {
        for (++position_; position_ < text_.size() && text_[position_] != end; ++position_) {
            if (text_[position_] == '\\') ++position_;
            if (position_ < text_.size() && text_[position_] == '\n') ++line_;
        }
        if (position_ >= text_.size()) fail("a text or a class is not closed");
        ++position_;
    }

    std::string_view text_;
    std::string_view comment_;
    std::string_view quotes_;
    bool has_classes_;
    std::size_t position_ = 0;
    int line_ = 1;
    int depth_ = 0;
    std::optional<std::string> problem_;
};

}  // namespace

std::optional<std::string> why_gbnf_not_supported(std::string_view grammar) {
    return Walker(grammar, "#", "\"", true).walk([](Walker& walker, std::string_view word) {
        if (std::ranges::find(macros, word) != macros.end() && walker.rest().starts_with('('))
            walker.fail(std::string(word) + "() is not supported");
    });
}

std::optional<std::string> why_lark_not_supported(std::string_view grammar) {
    return Walker(grammar, "//", "\"/", false).walk([](Walker& walker, std::string_view word) {
        const bool is_known = !word.starts_with('%') || word == "%ignore" ||
                              (word == "%import" && walker.rest().starts_with(" common."));
        if (!is_known) walker.fail(std::string(word) + " is not supported");
    });
}

}  // namespace solard
