// Turns the bytes of tokens into text, one token at a time. Only whole UTF-8 characters are returned.
#pragma once

#include <string>
#include <string_view>

namespace solard {

// Must be used by one thread at a time. Bytes which cannot begin or continue a character become U+FFFD, as
// the Unicode standard recommends ("maximal subpart", Unicode 15, section 3.9).
class Detokenizer {
  public:
    // Appends to `out` the characters which `bytes` complete, and holds back an incomplete tail.
    void append(std::string_view bytes, std::string& out);
    // Ends the text: appends one U+FFFD if an incomplete tail is held back.
    void flush(std::string& out);

  private:
    char held_[4] = {};
    unsigned held_size_ = 0;
};

}  // namespace solard
