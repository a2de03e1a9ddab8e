// The texts of the tokens of one answer or prompt.
#pragma once

#include <cstddef>
#include <string_view>

#include "inference/model/tokenizer.hpp"

namespace solard::server {

// The place of a space which the tokenizer puts before every text: the tokens have it, and the text has not.
// Counted in characters of the tokens.
inline constexpr std::size_t no_dropped_space = std::string_view::npos;

// A special token always has a name, but it may add nothing to the text. The tokenizer must outlive the
// views.
struct TokenTexts {
    const Tokenizer& tokenizer;
    bool skip_special_tokens = true;  // as in Request

    std::string_view name_of(TokenId token) const { return tokenizer.bytes_of(token, false); }
    std::string_view bytes_of(TokenId token) const { return tokenizer.bytes_of(token, skip_special_tokens); }
};

}  // namespace solard::server
