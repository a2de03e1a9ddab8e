// Token ids to text, a token at a time: only whole UTF-8 characters leave.
#pragma once

#include <string>
#include <string_view>

namespace solard {

// Engine thread. Bytes that cannot begin or continue a character become U+FFFD, as the Unicode standard's
// "maximal subpart" practice has it (Unicode 15, section 3.9).
class Detokenizer {
  public:
    // Appends to `out` the characters completed by `bytes`, holds an incomplete tail back.
    void append(std::string_view bytes, std::string& out);
    // At the end of a text: an incomplete tail becomes one U+FFFD.
    void flush(std::string& out);

  private:
    char held_[4] = {};
    unsigned held_size_ = 0;
};

// `bytes` with everything that is not UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

}  // namespace solard
