#include "inference/template/token_reader.hpp"

#include "inference/template/failure.hpp"

namespace solard::jinja {
namespace {

std::string describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::end:
            return "the end of the template";
        case TokenKind::data:
            return "text";
        case TokenKind::variable_begin:
            return "{{";
        case TokenKind::variable_end:
            return "}}";
        case TokenKind::block_begin:
            return "{%";
        case TokenKind::block_end:
            return "%}";
        default:
            return "'" + token.text + "'";
    }
}

}  // namespace

TokenReader::Level::Level(TokenReader& parser) : parser_(parser) {
    if (parser.depth_ >= parser.max_depth_)
        throw PlacedFailure{{Failure::Kind::limit,
                             "it is nested deeper than " + std::to_string(parser.max_depth_) + " levels"},
                            parser.token().offset};
    ++parser.depth_;
}

Token TokenReader::take() {
    Token token = tokens_[next_];
    if (token.kind != TokenKind::end) ++next_;
    return token;
}

bool TokenReader::is_name(std::string_view name) const {
    return token().kind == TokenKind::name && token().text == name;
}

bool TokenReader::is_symbol(std::string_view symbol) const {
    return token().kind == TokenKind::symbol && token().text == symbol;
}

bool TokenReader::skip_name(std::string_view name) {
    const bool found = is_name(name);
    if (found) take();
    return found;
}

bool TokenReader::skip_symbol(std::string_view symbol) {
    const bool found = is_symbol(symbol);
    if (found) take();
    return found;
}

void TokenReader::expect(TokenKind kind) {
    if (token().kind != kind) fail_unexpected();
    take();
}

void TokenReader::expect_name(std::string_view name) {
    if (!skip_name(name)) fail_here("found " + describe(token()) + ", expected '" + std::string(name) + "'");
}

void TokenReader::expect_symbol(std::string_view symbol) {
    if (!skip_symbol(symbol))
        fail_here("found " + describe(token()) + ", expected '" + std::string(symbol) + "'");
}

std::string TokenReader::expect_any_name() {
    if (token().kind != TokenKind::name) fail_here("found " + describe(token()) + ", expected a name");
    return take().text;
}

void TokenReader::fail_here(std::string message) const {
    throw PlacedFailure{{Failure::Kind::fault, std::move(message)}, token().offset};
}

void TokenReader::fail_unexpected() const {
    fail_here("found the unexpected " + describe(token()));
}

std::string TokenReader::describe_token() const {
    return describe(token());
}

}  // namespace solard::jinja
