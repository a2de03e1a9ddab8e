#include "inference/template/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "inference/template/characters.hpp"
#include "inference/template/failure.hpp"

namespace solard::jinja {
namespace {

constexpr auto symbols =
    std::to_array<std::string_view>({"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                     "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"});

[[noreturn]] void fail_at(std::size_t offset, std::string message) {
    throw PlacedFailure{{Failure::Kind::fault, std::move(message)}, offset};
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_character(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_hex_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) : source_(source) {}

    std::vector<Token> run() {
        while (at_ < source_.size()) read_root();
        add(TokenKind::end, {}, source_.size());
        return std::move(tokens_);
    }

  private:
    bool starts_with(std::string_view text) const { return source_.substr(at_).starts_with(text); }
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
    }
    void add(TokenKind kind, std::string text, std::size_t offset) {
        if (kind != TokenKind::data || !text.empty()) tokens_.push_back({kind, std::move(text), offset});
    }
    void skip_space() {
        while (at_ < source_.size() && is_space(first_character(source_.substr(at_))))
            at_ += character_size(source_[at_]);
    }
    void skip_line_break() {
        if (peek() == '\n') ++at_;
    }

    // Reads the text up to the next tag, and the tag itself.
    void read_root() {
        const std::size_t begin = at_;
        at_ = source_.find('{', at_);
        while (at_ != std::string_view::npos && peek(1) != '%' && peek(1) != '{' && peek(1) != '#')
            at_ = source_.find('{', at_ + 1);
        if (at_ == std::string_view::npos) {
            at_ = source_.size();
            add(TokenKind::data, std::string(source_.substr(begin)), begin);
            return;
        }
        const std::size_t tag = at_;
        const char type = peek(1);
        at_ += 2;
        const char sign = peek() == '-' || peek() == '+' ? peek() : ' ';
        if (sign != ' ') ++at_;
        std::string_view text = source_.substr(begin, tag - begin);
        strip_before_tag(text, sign, type == '{');
        add(TokenKind::data, std::string(text), begin);
        if (type == '#') {
            read_comment(tag);
        } else if (type == '%' && skip_raw_begin()) {
            read_raw(tag);
        } else {
            read_tag(tag, type == '{');
        }
        begins_line_ = source_[at_ - 1] == '\n';
    }

    void strip_before_tag(std::string_view& text, char sign, bool is_variable) const {
        if (sign == '-') {
            while (!text.empty()) {
                const std::size_t size = last_character_size(text);
                if (!is_space(first_character(text.substr(text.size() - size)))) break;
                text.remove_suffix(size);
            }
        } else if (sign != '+' && !is_variable) {
            const std::size_t line = text.rfind('\n') + 1;  // 0 if there is no line break
            std::string_view rest = text.substr(line);
            while (!rest.empty() && is_space(first_character(rest)))
                rest.remove_prefix(character_size(rest[0]));
            if (rest.empty() && (line > 0 || begins_line_)) text = text.substr(0, line);
        }
    }

    // Skips the white space which follows the end of a tag whose last characters were `sign` and its bracket.
    void skip_after_tag(char sign) {
        if (sign == '-') {
            skip_space();
        } else if (sign != '+') {
            skip_line_break();
        }
    }

    void read_comment(std::size_t tag) {
        const std::size_t end = source_.find("#}", at_);
        if (end == std::string_view::npos) fail_at(tag, "the comment has no end");
        const char sign = end > at_ ? source_[end - 1] : ' ';
        at_ = end + 2;
        skip_after_tag(sign);
    }

    bool skip_word(std::string_view word) {
        const std::size_t begin = at_;
        skip_space();
        if (starts_with(word)) {
            at_ += word.size();
            skip_space();
            return true;
        }
        at_ = begin;
        return false;
    }

    bool skip_raw_begin() {
        const std::size_t begin = at_;
        if (skip_word("raw")) {
            const bool strips = peek() == '-';
            if (strips) ++at_;
            if (starts_with("%}")) {
                at_ += 2;
                if (strips) skip_space();
                return true;
            }
        }
        at_ = begin;
        return false;
    }

    void read_raw(std::size_t tag) {
        const std::size_t begin = at_;
        begins_line_ = source_[at_ - 1] == '\n';
        while (true) {
            const std::size_t end = source_.find("{%", at_);
            if (end == std::string_view::npos) fail_at(tag, "the raw block has no end");
            at_ = end + 2;
            const char sign = peek() == '-' || peek() == '+' ? peek() : ' ';
            if (sign != ' ') ++at_;
            if (!skip_word("endraw")) continue;
            const char end_sign = peek() == '-' || peek() == '+' ? peek() : ' ';
            if (end_sign != ' ') ++at_;
            if (!starts_with("%}")) continue;
            at_ += 2;
            skip_after_tag(end_sign);
            std::string_view text = source_.substr(begin, end - begin);
            strip_before_tag(text, sign, false);
            add(TokenKind::data, std::string(text), begin);
            return;
        }
    }

    // Returns true at the end of the tag, and skips it.
    bool skip_tag_end(bool is_variable) {
        const bool strips = peek() == '-';
        const bool keeps = peek() == '+' && !is_variable;
        const std::size_t size = strips || keeps ? 1 : 0;
        if (source_.substr(at_ + size, 2) != (is_variable ? "}}" : "%}")) return false;
        add(is_variable ? TokenKind::variable_end : TokenKind::block_end, {}, at_);
        at_ += size + 2;
        if (strips) {
            skip_space();
        } else if (!keeps && !is_variable) {
            skip_line_break();
        }
        return true;
    }

    void read_tag(std::size_t tag, bool is_variable) {
        add(is_variable ? TokenKind::variable_begin : TokenKind::block_begin, {}, tag);
        std::string open;  // the brackets which are not closed yet
        while (true) {
            if (open.empty() && skip_tag_end(is_variable)) return;
            if (at_ >= source_.size()) fail_at(tag, "the tag has no end");
            if (is_space(first_character(source_.substr(at_)))) {
                at_ += character_size(source_[at_]);
            } else if (is_digit(peek())) {
                read_number();
            } else if (is_name_character(peek())) {
                const std::size_t begin = at_;
                while (is_name_character(peek())) ++at_;
                add(TokenKind::name, std::string(source_.substr(begin, at_ - begin)), begin);
            } else if (peek() == '\'' || peek() == '"') {
                read_string();
            } else {
                read_symbol(open);
            }
        }
    }

    void read_symbol(std::string& open) {
        const auto symbol = std::ranges::find_if(symbols, [&](auto one) { return starts_with(one); });
        if (symbol == symbols.end()) {
            const auto size = character_size(peek());
            fail_at(at_, "found the unexpected character '" + std::string(source_.substr(at_, size)) + "'");
        }
        constexpr std::string_view opening = "([{";
        constexpr std::string_view closing = ")]}";
        if (opening.find((*symbol)[0]) != std::string_view::npos) {
            open += (*symbol)[0];
        } else if (const auto kind = closing.find((*symbol)[0]); kind != std::string_view::npos) {
            if (open.empty() || open.back() != opening[kind])
                fail_at(at_, "found '" + std::string(*symbol) + "' without its opening bracket");
            open.pop_back();
        }
        add(TokenKind::symbol, std::string(*symbol), at_);
        at_ += symbol->size();
    }

    // Skips digits, which single underscores may separate, and returns whether there was one.
    template <class IsDigit>
    bool skip_digits(std::string& digits, IsDigit is_valid) {
        const std::size_t begin = digits.size();
        while (is_valid(peek()) || (peek() == '_' && digits.size() > begin && is_valid(peek(1)))) {
            if (peek() != '_') digits += peek();
            ++at_;
        }
        return digits.size() > begin;
    }

    void read_number() {
        const std::size_t begin = at_;
        std::string text;
        const char base = static_cast<char>(peek(1) | 0x20);
        if (peek() == '0' && (base == 'x' || base == 'o' || base == 'b')) {
            const int radix = base == 'x' ? 16 : base == 'o' ? 8 : 2;
            at_ += 2;
            if (peek() == '_') ++at_;
            const auto is_valid = [&](char c) {
                return radix == 16 ? is_hex_digit(c) : c >= '0' && c < '0' + radix;
            };
            std::int64_t number = 0;
            const bool has_digits = skip_digits(text, is_valid);
            const auto read = std::from_chars(text.data(), text.data() + text.size(), number, radix);
            if (!has_digits || read.ec != std::errc()) fail_at(begin, "the number is not valid or too large");
            add(TokenKind::integer, std::to_string(number), begin);
            return;
        }
        skip_digits(text, is_digit);
        const std::size_t after_digits = at_;
        const bool follows_dot = begin > 0 && source_[begin - 1] == '.';
        if (follows_dot || !read_fraction(text)) {
            at_ = after_digits;
            add(TokenKind::integer, std::move(text), begin);
            return;
        }
        add(TokenKind::floating, std::move(text), begin);
    }

    // Appends the fraction and the exponent of a number. Returns false if it has neither.
    bool read_fraction(std::string& text) {
        bool is_floating = false;
        if (peek() == '.' && is_digit(peek(1))) {
            text += '.';
            ++at_;
            is_floating = skip_digits(text, is_digit);
        }
        if (peek() != 'e' && peek() != 'E') return is_floating;
        const std::size_t sign = peek(1) == '-' || peek(1) == '+' ? 1 : 0;
        if (!is_digit(peek(1 + sign))) return is_floating;
        text += 'e';
        if (sign == 1) text += peek(1);
        at_ += 1 + sign;
        return skip_digits(text, is_digit);
    }

    void read_string() {
        const std::size_t begin = at_;
        const char quote = peek();
        ++at_;
        std::string text;
        while (peek() != quote || at_ >= source_.size()) {
            if (at_ >= source_.size()) fail_at(begin, "the string has no end");
            if (peek() == '\\' && at_ + 1 < source_.size()) {
                ++at_;
                read_escape(text, begin);
            } else {
                text += peek();
                ++at_;
            }
        }
        ++at_;
        add(TokenKind::string, std::move(text), begin);
    }

    // Reads the characters after a backslash, as in Python.
    void read_escape(std::string& text, std::size_t begin) {
        constexpr std::string_view names = "\n\\'\"abfnrtv";
        constexpr std::string_view values("\0\\'\"\a\b\f\n\r\t\v", 11);
        const char c = peek();
        if (c == 'x') return read_code(text, 2, begin);
        if (c == 'u') return read_code(text, 4, begin);
        if (c == 'U') return read_code(text, 8, begin);
        if (c >= '0' && c <= '7') {
            char32_t code = 0;
            for (int i = 0; i < 3 && peek() >= '0' && peek() <= '7'; ++i) {
                code = code * 8 + static_cast<char32_t>(peek() - '0');
                ++at_;
            }
            return append_character(text, code);
        }
        if (c == 'N') fail_at(begin, "character names in strings (\\N) are not supported");
        ++at_;
        const auto escape = names.find(c);
        if (escape == std::string_view::npos) {
            (text += '\\') += c;
        } else if (escape > 0) {  // a backslash at the end of a line joins the lines
            text += values[escape];
        }
    }

    void read_code(std::string& text, std::size_t digits, std::size_t begin) {
        char32_t code = 0;
        ++at_;
        const std::string_view hex = source_.substr(at_, digits);
        std::uint32_t number = 0;
        const auto read = std::from_chars(hex.data(), hex.data() + hex.size(), number, 16);
        code = number;
        if (hex.size() < digits || read.ec != std::errc() || read.ptr != hex.data() + digits ||
            code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            fail_at(begin, "the string has an escape that names no character");
        append_character(text, code);
        at_ += digits;
    }

    std::string_view source_;
    std::size_t at_ = 0;
    bool begins_line_ = true;  // the last tag ended with a line break, or nothing was read yet
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
    return Lexer(source).run();
}

std::string normalize_source(std::string_view source) {
    std::string text;
    text.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            text += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            text += source[i];
        }
    }
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace solard::jinja
