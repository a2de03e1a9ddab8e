// Splits the source of a template into tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace solard::jinja {

enum class TokenKind : std::uint8_t {
    data,  // text outside of tags
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,  // its text is the value, without quotes and escapes
    integer,
    floating,
    symbol,  // an operator or a bracket
    end,
};

struct Token {
    TokenKind kind;
    std::string text;
    std::size_t offset;  // in the source
};

// Returns the tokens of a source, the last of which is `end`. White space is removed as with the options
// trim_blocks and lstrip_blocks of Jinja, which the peers set for chat templates: the first line break after
// a block or a comment, and the white space before it if nothing else stands on the line. `-` in a tag
// removes all white space on its side, and `+` keeps it. Throws a PlacedFailure.
std::vector<Token> tokenize(std::string_view source);

// Returns the source with \n as its only line break, and without a line break at its end.
std::string normalize_source(std::string_view source);

}  // namespace solard::jinja
