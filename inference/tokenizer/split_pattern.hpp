// Splits text by a regular expression of a tokenizer, with PCRE2.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"

namespace solard {

// The memory that matching needs. It is kept between calls, and must be used by one thread at a time.
class MatchMemory {
  public:
    MatchMemory();
    ~MatchMemory();
    MatchMemory(const MatchMemory&) = delete;
    MatchMemory& operator=(const MatchMemory&) = delete;

  private:
    friend class SplitPattern;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// A compiled pattern. Immutable; any thread may use it.
class SplitPattern {
  public:
    struct Compiled;

    // Compiles a regular expression in the syntax of Oniguruma, with which the library tokenizers runs the
    // patterns of tokenizer.json. Only the part of that syntax is accepted which means the same in PCRE2.
    // Errors: bad_model, with a clause that says what is wrong with the pattern.
    static result<SplitPattern> regular_expression(std::string_view pattern);
    // Compiles a pattern that matches only the text itself, which must not be empty.
    static SplitPattern literal(std::string_view text);

    // Appends to `pieces` the matches in `text` and the texts between them, in their order. Together they are
    // the whole text, and none is empty. `text` must be valid UTF-8. Errors: invalid_request if a match needs
    // more steps or memory than the limits allow.
    result<void> split(std::string_view text, MatchMemory& memory,
                       std::vector<std::string_view>& pieces) const;

    // Returns true if the pattern matches somewhere in `text`, which must be valid UTF-8 and short.
    bool matches(std::string_view text) const;

  private:
    explicit SplitPattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
    std::shared_ptr<const Compiled> compiled_;
};

}  // namespace solard
