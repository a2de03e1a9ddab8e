// Changes a text before it is split: the part "normalizer" of tokenizer.json.
#pragma once

#include <string>
#include <vector>

#include "inference/text/marked_text.hpp"
#include "inference/tokenizer/object_reader.hpp"

namespace solard {

// Immutable after read(); any thread may use it. An object that was not read changes nothing.
class Normalizer {
  public:
    // Reads the object "normalizer": Prepend, Replace with a string as its pattern, and Sequence. A problem
    // is recorded in the reader.
    static Normalizer read(ObjectReader normalizer);

    bool changes_nothing() const { return steps_.empty(); }
    // Text that is put in the place of a pattern is trusted if the pattern was; a text that is put before
    // another one is trusted.
    MarkedText apply(const MarkedText& text) const;

  private:
    struct Step {
        std::string pattern;  // empty: `content` is put before a text that is not empty
        std::string content;  // replaces `pattern`
    };
    void add(ObjectReader& reader);
    std::vector<Step> steps_;
};

}  // namespace solard
