// Reads the tokens of a template one after the other.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/template/lexer.hpp"

namespace solard::jinja {

// The common part of the parsers. Throws a PlacedFailure.
class TokenReader {
  protected:
    TokenReader(std::vector<Token> tokens, std::size_t max_depth)
        : tokens_(std::move(tokens)), max_depth_(max_depth) {}

    // One level of nesting in the source.
    class Level {
      public:
        explicit Level(TokenReader& parser);
        ~Level() { --parser_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

      private:
        TokenReader& parser_;
    };

    const Token& token() const { return tokens_[next_]; }
    const Token& token_after() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
    Token take();
    bool is_name(std::string_view name) const;
    bool is_symbol(std::string_view symbol) const;
    bool skip_name(std::string_view name);
    bool skip_symbol(std::string_view symbol);
    void expect(TokenKind kind);
    void expect_name(std::string_view name);
    void expect_symbol(std::string_view symbol);
    std::string expect_any_name();
    [[noreturn]] void fail_here(std::string message) const;
    [[noreturn]] void fail_unexpected() const;
    // Returns the token as it is shown in messages.
    std::string describe_token() const;

  private:
    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    std::size_t depth_ = 0;
    std::size_t max_depth_;
};

}  // namespace solard::jinja
