// Finds stop strings in streamed text. Text that may be the beginning of a stop string is held back.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace solard {

// Every sequence has its own matcher. Used by one thread at a time.
class StopMatcher {
  public:
    explicit StopMatcher(std::vector<std::string> stops = {});  // must not contain an empty string

    // Feeds `text` and appends to `out` the text that can no longer belong to a stop string. Returns true
    // once a stop string is complete. Then `out` ends before that stop string, and nothing more may be fed.
    // The match that is complete first wins; if several matches end at the same byte, the longest match wins.
    // Therefore the result does not depend on how the text was split.
    bool append(std::string_view text, std::string& out);
    // Ends a text without a match: appends the text that was held back to `out`.
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

        std::string text;
        std::vector<std::size_t> borders;  // [length]: size of the longest proper prefix of text[0, length)
                                           // that is also its suffix
        std::size_t matched = 0;  // length of the longest prefix of `text` with which the fed text ends
    };

    std::vector<Pattern> patterns_;
    std::string held_;  // the longest end of the fed text that is the beginning of a stop string
    std::optional<std::size_t> matched_;
};

}  // namespace solard
