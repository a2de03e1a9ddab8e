// A part of a text, as it is passed on to the tokenizer's model.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/token_id.hpp"

namespace solard {

// Either an added token, or text that contains none.
struct TextPiece {
    std::string_view text;  // normalized
    TokenId token = -1;     // -1: text
    bool begins_text = false;
};

// Encodes the text between added tokens. Immutable; any thread may use it.
class TextEncoder {
  public:
    TextEncoder() = default;
    TextEncoder(const TextEncoder&) = delete;
    TextEncoder& operator=(const TextEncoder&) = delete;
    virtual ~TextEncoder() = default;

    // Appends the tokens of the pieces, which must be valid UTF-8. Errors: invalid_request if the text needs
    // more work than the limits allow. Throws std::bad_alloc if memory is short.
    virtual result<void> encode(std::span<const TextPiece> pieces, std::vector<TokenId>& out) const = 0;
};

}  // namespace solard
