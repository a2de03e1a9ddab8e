// Turns the bytes of tokens into text, one token at a time. Only whole UTF-8 characters are released.
#pragma once

#include <string>
#include <string_view>

namespace solard {

// Engine thread. Bytes that cannot begin or continue a character are replaced by U+FFFD, according to the
// "maximal subpart" practice of the Unicode standard (Unicode 15, section 3.9).
class Detokenizer {
  public:
    // Appends to `out` the characters that `bytes` completes; holds back an incomplete tail.
    void append(std::string_view bytes, std::string& out);
    // Ends the text: appends one U+FFFD if an incomplete tail was held back.
    void flush(std::string& out);

  private:
    char held_[4] = {};
    unsigned held_size_ = 0;
};

// Returns `bytes` with everything that is not UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

}  // namespace solard
