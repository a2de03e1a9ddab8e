// Stop strings over streamed text: nothing that may be the beginning of a stop string is released early.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace solard {

// Engine thread. One per sequence.
class StopMatcher {
  public:
    explicit StopMatcher(std::vector<std::string> stops = {});  // none of them empty

    // Feeds `text`; appends to `out` what can no longer belong to a stop string. True once a stop string was
    // completed: `out` then ends before it, and nothing more may be fed. The match that is complete first
    // wins; of several that end together, the longest. So the result does not depend on how the text was
    // split.
    bool append(std::string_view text, std::string& out);
    // At the end of a text without a match: releases what was held back.
    void flush(std::string& out);
    // Index of the stop string that matched.
    std::optional<std::size_t> matched() const { return matched_; }

  private:
    // One stop string as a Knuth-Morris-Pratt automaton: each byte of text costs constant time, amortised.
    struct Pattern {
        explicit Pattern(std::string stop);
        // Length of the longest prefix of `text` that ends a text which ended with the first `length` bytes
        // of it, once `c` follows. `length` < text.size().
        std::size_t extended(std::size_t length, char c) const;

        std::string text;
        std::vector<std::size_t> borders;  // [length]: longest proper prefix of text[0, length) that ends it
        std::size_t matched = 0;           // bytes of `text` that end what was fed
    };

    std::vector<Pattern> patterns_;
    std::string held_;  // the longest end of what was fed that begins a stop string
    std::optional<std::size_t> matched_;
};

}  // namespace solard
