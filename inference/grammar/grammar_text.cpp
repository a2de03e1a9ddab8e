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

// How a notation is written.
struct Notation {
    std::string_view names;                    // characters of names besides letters and digits
    std::array<std::string_view, 2> comments;  // which begin a comment; may be equal
    std::string_view quotes;                   // each begins and ends a text
    bool has_classes;                          // a [ begins a class of characters
    std::string_view defines;                  // what follows the name of a rule
    std::string_view refused_signs;
};

constexpr Notation gbnf{"_-.", {"#", "#"}, "\"", true, "::=", ""};
constexpr Notation lark{"_", {"//", "#"}, "\"/", false, ":", "<@"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Walks over the parts of a grammar that are neither text nor comment.
class Walker {
  public:
    Walker(std::string_view text, const Notation& notation) : text_(text), notation_(notation) {}

    // Calls check_word(*this, word) for each word.
    template <class Function>
    std::optional<std::string> walk(Function check_word) {
        while (!problem_ && position_ < text_.size()) {
            const char c = text_[position_];
            if (at_comment()) {
                skip_comment();
            } else if (notation_.quotes.find(c) != std::string_view::npos) {
                skip_until(c);
            } else if (c == '[' && notation_.has_classes) {
                skip_until(']');
                check_no_attributes();
            } else if (is_name(c) || c == '%') {
                const std::size_t begin = position_++;
                while (position_ < text_.size() && is_name(text_[position_])) ++position_;
                const std::string_view word = text_.substr(begin, position_ - begin);
                check_number(word);
                check_word(*this, word);
            } else {
                ++position_;
                check_sign(c);
            }
        }
        if (!problem_ && depth_ > 0) fail("a bracket is not closed");
        return problem_;
    }

    // What follows the word that was read last.
    std::string_view rest() const { return text_.substr(position_); }
    // The same without white space and comments.
    std::string_view next() {
        const std::size_t begin = position_;
        const int line = line_;
        while (position_ < text_.size()) {
            if (at_comment())
                skip_comment();
            else if (white_space.find(text_[position_]) != std::string_view::npos)
                ++position_;
            else
                break;
        }
        const std::string_view found = rest();
        position_ = begin;
        line_ = line;
        return found;
    }
    void fail(const std::string& problem) {
        if (!problem_) problem_ = "line " + std::to_string(line_) + ": " + problem;
    }

  private:
    static constexpr std::string_view white_space = " \t\r\n";

    bool is_name(char c) const {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
               notation_.names.find(c) != std::string_view::npos;
    }
    bool at_comment() const {
        return rest().starts_with(notation_.comments[0]) || rest().starts_with(notation_.comments[1]);
    }
    void skip_comment() { position_ = std::min(text_.find_first_of("\r\n", position_), text_.size()); }

    void check_sign(char c) {
        if (c == '\n' && ++line_ > max_lines)
            fail("it has more than " + std::to_string(max_lines) + " lines");
        if ((c == '(' || c == '[' || c == '{') && ++depth_ > max_depth) fail("it is nested too deeply");
        if ((c == ')' || c == ']' || c == '}') && --depth_ < 0) fail("a bracket has no opening one");
        if (c == '(' && rest().starts_with('=')) fail("a lookahead is not supported");
        if (notation_.refused_signs.find(c) != std::string_view::npos)
            fail(std::string("the sign ") + c + " is not supported");
        if (c == ']') check_no_attributes();
    }

    // Attributes of a rule stand in brackets after its name.
    void check_no_attributes() {
        if (!problem_ && next().starts_with(notation_.defines))
            fail("attributes of a rule are not supported");
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
    const Notation& notation_;
    std::size_t position_ = 0;
    int line_ = 1;
    int depth_ = 0;
    std::optional<std::string> problem_;
};

}  // namespace

std::optional<std::string> why_gbnf_not_supported(std::string_view grammar) {
    return Walker(grammar, gbnf).walk([](Walker& walker, std::string_view word) {
        if (std::ranges::find(macros, word) != macros.end() && walker.next().starts_with('('))
            walker.fail(std::string(word) + "() is not supported");
    });
}

std::optional<std::string> why_lark_not_supported(std::string_view grammar) {
    return Walker(grammar, lark).walk([](Walker& walker, std::string_view word) {
        const bool is_known = !word.starts_with('%') || word == "%ignore" ||
                              (word == "%import" && walker.rest().starts_with(" common."));
        if (!is_known) walker.fail(std::string(word) + " is not supported");
    });
}

}  // namespace solard
