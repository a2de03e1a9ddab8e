// Finds stop strings in streamed text. Text that may be the beginning of a stop string is held back.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace solard {

// Parts of a text in which no stop string is looked for: from a `begin` to the end of the next `end`, or to
// the end of the text if `end` is empty. A stop string that overlaps a `begin` does not count. If `begin` is
// empty, there is no such part.
struct UnsearchedParts {
    std::string begin;
    std::string end;
    bool at_start = false;  // true: unless the text begins with `begin`, it has no such part
};

// Every sequence must have a matcher of its own. A matcher must be used by one thread at a time.
class StopMatcher {
  public:
    explicit StopMatcher(std::vector<std::string> stops = {},  // no stop string may be empty
                         UnsearchedParts unsearched = {});

    // Feeds `text` and appends to `out` the text that can no longer belong to a stop string. Returns true if
    // `text` completes a stop string. In this case `out` ends before that stop string, and append() must not
    // be called again. The match that is complete first wins; if several matches end at the same byte, the
    // longest match wins. Therefore the result does not depend on how the text was split.
    bool append(std::string_view text, std::string& out);
    // Does the same with a text in which no stop string counts. Must not be called after append().
    void pass(std::string_view text, std::string& out);
    // Returns true if the next character belongs to a part that is not searched.
    bool is_unsearched() const { return in_unsearched_; }
    // Ends a text: appends to `out` the text that was held back, as far as it comes before a stop string.
    void flush(std::string& out);
    // Returns the index of the stop string that matched, or nullopt if no stop string matched.
    std::optional<std::size_t> matched() const { return matched_; }

  private:
    // One stop string as a Knuth-Morris-Pratt automaton: each byte of text takes amortised constant time.
    struct Pattern {
        explicit Pattern(std::string stop);
        // Returns the length of the longest prefix of the stop string with which the fed text ends after `c`
        // is fed. `length` is the same number before `c` is fed, and must be less than text.size().
        std::size_t extended(std::size_t length, char c) const;
        // Feeds a character. Returns true if the fed text ends with the pattern. Patterns may be empty here.
        bool completed_by(char c);

        std::string text;
        std::vector<std::size_t> borders;  // [length]: size of the longest proper prefix of text[0, length)
                                           // that is also its suffix
        std::size_t matched = 0;  // length of the longest prefix of `text` with which the fed text ends
    };

    struct Match {
        std::size_t index;    // into patterns_
        std::size_t size;     // in bytes
        std::size_t age = 0;  // bytes since its end
    };

    bool is_searched(char c);
    void end_at(const Match& match, std::string& out);

    std::vector<Pattern> patterns_;
    Pattern begin_;  // of a part that is not searched
    Pattern end_;
    bool in_unsearched_ = false;
    bool at_start_;     // the first part can only be here
    std::string held_;  // the longest end of the fed text that is the beginning of a stop string
    // The first match, while it may overlap the beginning of a part that is not searched.
    std::optional<Match> found_;
    std::optional<std::size_t> matched_;
};

}  // namespace solard
