#include "inference/grammar/regex.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "inference/text/utf8.hpp"

namespace solard {
namespace {

constexpr char32_t first_surrogate = 0xd800;
constexpr char32_t last_surrogate = 0xdfff;
constexpr char32_t last_character = 0x10ffff;
constexpr int max_depth = 32;
constexpr int max_count = 10'000;  // of a repetition

const CharacterSet digits{{'0', '9'}};
const CharacterSet word_characters{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
// WhiteSpace and LineTerminator of ECMA-262, 12.2 and 12.3, without the byte order mark, which other
// libraries do not count among them.
const CharacterSet spaces{{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},
                          {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                          {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
// What one of them counts as a space.
const CharacterSet possible_spaces = unite(spaces, {{0x1c, 0x1f}, {0x85, 0x85}, {0xfeff, 0xfeff}});
const CharacterSet line_ends{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

Regex any_text() {
    Regex any;
    any.kind = Regex::Kind::characters;
    any.characters = complement({});
    Regex repetition;
    repetition.kind = Regex::Kind::repetition;
    repetition.max = Regex::unlimited;
    repetition.parts.push_back(std::move(any));
    return repetition;
}

std::optional<int> hex_digit(char32_t c) {
    if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A') + 10;
    return std::nullopt;
}

bool is_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Returns true if an odd number of backslashes stands before the last character.
bool ends_with_escape(std::string_view text) {
    text.remove_suffix(1);
    const std::size_t last = text.find_last_not_of('\\');
    const std::size_t num_backslashes = text.size() - (last == std::string_view::npos ? 0 : last + 1);
    return num_backslashes % 2 == 1;
}

class Parser {
  public:
    Parser(std::u32string text, RegexScope scope) : text_(std::move(text)), scope_(scope) {}

    result<Regex> parse() {
        Regex regex = parse_choice(0);
        if (!problem_ && !at_end()) fail("a closing bracket", "has no opening one");
        if (problem_) return Error{errc::invalid_request, *problem_};
        return regex;
    }

  private:
    bool at_end() const { return position_ >= text_.size(); }
    bool at(char32_t c) const { return !at_end() && text_[position_] == c; }
    bool at(std::u32string_view text) const {
        return !at_end() && text_.compare(position_, text.size(), text) == 0;
    }
    bool take(char32_t c) {
        if (!at(c)) return false;
        ++position_;
        return true;
    }
    // Records what is wrong with the thing at the current position; the first problem counts.
    void fail(std::string_view what, std::string_view problem = "is not supported") {
        if (problem_) return;
        problem_ =
            std::string(what) + " at character " + std::to_string(position_ + 1) + ' ' + std::string(problem);
        position_ = text_.size();
    }

    Regex parse_choice(int depth) {
        Regex choice;
        choice.kind = Regex::Kind::choice;
        if (depth > max_depth) {
            fail("a group", "is nested too deeply");
            return choice;
        }
        do choice.parts.push_back(parse_sequence(depth));
        while (take('|'));
        if (choice.parts.size() > 1) return choice;
        Regex only = std::move(choice.parts.front());
        return only;
    }

    Regex parse_sequence(int depth) {
        Regex sequence;
        const bool begins = depth == 0 && take('^');
        if (depth == 0 && scope_ == RegexScope::part_of_text && !begins) sequence.parts.push_back(any_text());
        bool ends = false;
        while (!at_end() && !at('|') && !at(')')) {
            if (depth == 0 && at('$') && (position_ + 1 == text_.size() || text_[position_ + 1] == '|')) {
                ++position_;
                ends = true;
                break;
            }
            sequence.parts.push_back(parse_repetition(depth));
        }
        if (depth == 0 && scope_ == RegexScope::part_of_text && !ends) sequence.parts.push_back(any_text());
        return sequence;
    }

    Regex parse_repetition(int depth) {
        const std::size_t begin = position_;
        Regex part = parse_part(depth);
        int min = 0;
        int max = Regex::unlimited;
        if (take('*')) {
        } else if (take('+')) {
            min = 1;
        } else if (take('?')) {
            max = 1;
        } else if (!parse_counts(min, max)) {
            return part;
        }
        take('?');  // which way is tried first makes no difference
        const std::size_t next = position_;
        int other_min = 0;
        int other_max = 0;
        if (at('*') || at('+') || at('?') || parse_counts(other_min, other_max)) {
            position_ = next;
            fail("a second repetition");
        }
        if (max != Regex::unlimited && min > max) {
            position_ = begin;
            fail("the repetition", "has its smaller number last");
        }
        Regex repetition;
        repetition.kind = Regex::Kind::repetition;
        repetition.parts.push_back(std::move(part));
        repetition.min = min;
        repetition.max = max;
        return repetition;
    }

    // Reads {min}, {min,} or {min,max}. A brace that begins none of them is a character.
    bool parse_counts(int& min, int& max) {
        if (!at('{')) return false;
        const std::size_t begin = position_++;
        const auto low = parse_count();
        auto high = low;
        if (low && take(',')) high = at('}') ? std::optional(Regex::unlimited) : parse_count();
        if (!low || !high || !take('}')) {
            position_ = begin;
            return false;
        }
        if (*low > max_count || *high > max_count) {
            position_ = begin;
            fail("a repetition", "has a number above " + std::to_string(max_count));
        }
        min = *low;
        max = *high;
        return true;
    }

    std::optional<int> parse_count() {
        if (at_end() || !is_digit(text_[position_])) return std::nullopt;
        int value = 0;
        for (; !at_end() && is_digit(text_[position_]); ++position_)
            value = std::min(10 * value + static_cast<int>(text_[position_] - '0'), max_count + 1);
        return value;
    }

    Regex parse_part(int depth) {
        const char32_t c = text_[position_];
        if (c == '(') return parse_group(depth);
        if (c == '[') return of(parse_class());
        if (c == '\\') {
            ++position_;
            return of(parse_escape(false));
        }
        const std::size_t begin = position_;
        int min = 0;
        int max = 0;
        if (c == '^' || c == '$') {
            fail("the anchor");
        } else if (c == '*' || c == '+' || c == '?' || parse_counts(min, max)) {
            position_ = begin;
            fail("the repetition", "repeats nothing");
        } else {
            ++position_;
        }
        return of(c == '.' ? complement(line_ends) : CharacterSet{{c, c}});
    }

    Regex parse_group(int depth) {
        if (at(U"(?=") || at(U"(?!")) fail("a lookahead");
        if (at(U"(?<=") || at(U"(?<!")) fail("a lookbehind");
        const std::size_t begin = position_;
        ++position_;
        if (at(U"?:")) {
            position_ += 2;
        } else if (at(U"?<") || at(U"?P<")) {
            while (!at_end() && !at('>')) ++position_;
            take('>');
        } else if (at('?')) {
            fail("a flag");
        }
        Regex group = parse_choice(depth + 1);
        if (!problem_ && !take(')')) {
            position_ = begin;
            fail("the group", "does not end");
        }
        return group;
    }

    CharacterSet parse_class() {
        const std::size_t begin = position_++;
        const bool is_negated = take('^');
        CharacterSet set;
        if (at(']')) fail("an empty class");
        while (!problem_ && !take(']')) {
            if (at_end()) {
                position_ = begin;
                fail("the class", "does not end");
                break;
            }
            const CharacterSet item = parse_class_item(is_negated);
            const bool is_range = at('-') && position_ + 1 < text_.size() && text_[position_ + 1] != ']';
            if (!is_range || problem_) {
                set.insert(set.end(), item.begin(), item.end());
                continue;
            }
            ++position_;
            const CharacterSet end = parse_class_item(is_negated);
            if (problem_) break;
            if (!is_single(item) || !is_single(end) || item.front().first > end.front().first) {
                position_ = begin;
                fail("the class", "has a wrong range");
                break;
            }
            set.push_back({item.front().first, end.front().last});
        }
        return is_negated ? complement(set) : unite(set, {});
    }

    CharacterSet parse_class_item(bool is_negated) {
        const char32_t c = text_[position_++];
        return c == '\\' ? parse_escape(true, is_negated) : CharacterSet{{c, c}};
    }

    static bool is_single(const CharacterSet& set) {
        return set.size() == 1 && set.front().first == set.front().last;
    }

    // Reads what follows a backslash. `is_negated`: the class around it is negated.
    CharacterSet parse_escape(bool in_class, bool is_negated = false) {
        if (at_end()) {
            fail("the backslash", "has nothing to escape");
            return {};
        }
        const char32_t c = text_[position_];
        const auto single = [&](char32_t character) {
            ++position_;
            return CharacterSet{{character, character}};
        };
        switch (c) {
            case 'd':
                return ++position_, digits;
            case 'D':
                return ++position_, complement(digits);
            case 'w':
                return ++position_, word_characters;
            case 'W':
                return ++position_, complement(word_characters);
            case 's':
                return ++position_, is_negated ? possible_spaces : spaces;
            case 'S':
                return ++position_, complement(is_negated ? spaces : possible_spaces);
            case 'n':
                return single('\n');
            case 'r':
                return single('\r');
            case 't':
                return single('\t');
            case 'f':
                return single('\f');
            case 'v':
                return single('\v');
            case '0':
                if (position_ + 1 < text_.size() && is_digit(text_[position_ + 1])) break;
                return single(0);
            case 'x':
                return parse_code(2);
            case 'u':
                return parse_code(4);
            case 'b':
                if (in_class) return single('\b');
                break;
            default:
                if (!is_letter(c) && !is_digit(c)) return single(c);
        }
        fail(std::string("\\") + static_cast<char>(c));
        return {};
    }

    // Reads the number of a character: `length` digits, or any number of them in braces.
    CharacterSet parse_code(std::size_t length) {
        const std::size_t begin = position_++;
        char32_t code = 0;
        const bool in_braces = length == 4 && take('{');
        std::size_t num_digits = 0;
        constexpr std::size_t longest = 6;
        while (!at_end() && num_digits < (in_braces ? longest : length)) {
            const auto digit = hex_digit(text_[position_]);
            if (!digit) break;
            code = 16 * code + static_cast<char32_t>(*digit);
            ++position_;
            ++num_digits;
        }
        const bool is_whole = in_braces ? num_digits > 0 && take('}') : num_digits == length;
        if (is_whole && code <= last_character && (code < first_surrogate || code > last_surrogate))
            return {{code, code}};
        position_ = begin;
        fail("the escape", "is not the number of a character");
        return {};
    }

    static Regex of(CharacterSet characters) {
        Regex regex;
        regex.kind = Regex::Kind::characters;
        regex.characters = std::move(characters);
        return regex;
    }

    std::u32string text_;
    RegexScope scope_;
    std::size_t position_ = 0;
    std::optional<std::string> problem_;
};

}  // namespace

CharacterSet unite(const CharacterSet& a, const CharacterSet& b) {
    CharacterSet ranges = a;
    ranges.insert(ranges.end(), b.begin(), b.end());
    std::ranges::sort(ranges, {}, &CharacterRange::first);
    CharacterSet united;
    for (const CharacterRange& range : ranges) {
        if (!united.empty() && range.first <= united.back().last + 1)
            united.back().last = std::max(united.back().last, range.last);
        else
            united.push_back(range);
    }
    return united;
}

CharacterSet complement(const CharacterSet& set) {
    CharacterSet result;
    char32_t next = 0;
    for (const CharacterRange& range : unite(set, {{first_surrogate, last_surrogate}})) {
        if (range.first > next) result.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= last_character) result.push_back({next, last_character});
    return result;
}

std::string as_pattern(std::string_view regex) {
    std::string pattern = "^(?:";
    std::string alternative;
    bool is_escaped = false;
    bool in_class = false;
    int depth = 0;
    const auto end_alternative = [&] {
        std::string_view rest = alternative;
        if (rest.starts_with('^')) rest.remove_prefix(1);
        // The last character is an anchor unless it is escaped.
        if (rest.ends_with('$') && !ends_with_escape(rest)) rest.remove_suffix(1);
        pattern += rest;
        alternative.clear();
    };
    for (const char c : regex) {
        if (c == '|' && !is_escaped && !in_class && depth == 0) {
            end_alternative();
            pattern += '|';
            continue;
        }
        alternative += c;
        if (!is_escaped && !in_class) depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (!is_escaped) in_class = in_class ? c != ']' : c == '[';
        is_escaped = !is_escaped && c == '\\';
    }
    end_alternative();
    return pattern + ")$";
}

result<Regex> parse_regex(std::string_view text, RegexScope scope) {
    if (find_invalid_utf8(text) != std::string_view::npos)
        return Error{errc::invalid_request, "it is not UTF-8"};
    std::u32string characters;
    while (!text.empty()) characters += take_character(text);
    return Parser(std::move(characters), scope).parse();
}

}  // namespace solard
