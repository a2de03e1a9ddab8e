// Regular expressions in the notation of ECMAScript.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"

namespace solard {

struct CharacterRange {
    char32_t first;
    char32_t last;  // inclusive
    bool operator==(const CharacterRange&) const = default;
};

// Characters of Unicode, as ranges in ascending order which neither overlap nor touch.
using CharacterSet = std::vector<CharacterRange>;

// Returns the characters that are in `a` or in `b`. The ranges may come in any order.
CharacterSet unite(const CharacterSet& a, const CharacterSet& b);
// Returns the characters that are not in the set. A surrogate is no character.
CharacterSet complement(const CharacterSet& set);

struct Regex {
    enum class Kind : std::uint8_t {
        characters,  // one of `characters`
        sequence,    // all `parts`, one after the other; without parts, the empty text
        choice,      // one of `parts`
        repetition,  // the only part, `min` to `max` times
    };
    static constexpr int unlimited = -1;

    Kind kind = Kind::sequence;
    CharacterSet characters;
    std::vector<Regex> parts;
    int min = 0;
    int max = 0;  // or unlimited
};

enum class RegexScope : std::uint8_t {
    whole_text,   // the text must match from its beginning to its end
    part_of_text  // it is enough if a part of the text matches, unless ^ or $ says otherwise
};

// Returns the expression of the whole text. The anchors ^ and $ may stand at the beginning and at the end of
// the expression, or of one of its outermost alternatives. \d and \w are ASCII, as in ECMAScript. Errors:
// invalid_request, with what is wrong as a clause such as "a lookahead at character 3 is not supported".
result<Regex> parse_regex(std::string_view text, RegexScope scope);

// Returns the expression whose matches are the texts that match `regex` from beginning to end, also where it
// is enough that a part of the text matches. `regex` must be one that parse_regex() accepts; what is returned
// may have one level of groups too many.
std::string as_pattern(std::string_view regex);

}  // namespace solard
