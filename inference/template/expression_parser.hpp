// Parses the expressions of a template.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "inference/template/lexer.hpp"
#include "inference/template/syntax.hpp"
#include "inference/template/token_reader.hpp"

namespace solard::jinja {

// Reads tokens in order and puts nodes into a tree. Throws a PlacedFailure.
class ExpressionParser : protected TokenReader {
  public:
    ExpressionParser(SyntaxTree& tree, std::vector<Token> tokens, std::size_t max_depth)
        : TokenReader(std::move(tokens), max_depth), tree_(tree) {}

  protected:
    Expr parse_expression();
    // Parses an expression without `if`, which ends the list of a `for`.
    Expr parse_or();
    // Parses one expression, or a tuple of several without brackets. `end` is a name which ends it.
    Expr parse_tuple(bool with_conditional = true, std::string_view end = {});
    // Parses `|name(..)|name(..)`. `input` may be null.
    Expr parse_filters(Expr input);
    Expr parse_filter(Expr input);

  private:
    template <class Node>
    Expr make(Node node, std::size_t offset) {
        return &tree_.expressions.emplace_back(Expression{std::move(node), offset});
    }
    const MarkedText* make_text(std::string text);

    Expr parse_and();
    Expr parse_not();
    Expr parse_compare();
    Expr parse_sum();
    Expr parse_concat();
    Expr parse_product();
    Expr parse_power();
    Expr parse_unary(bool with_filters = true);
    Expr parse_primary();
    Expr parse_name();
    Expr parse_number();
    Expr parse_list();
    Expr parse_dict();
    Expr parse_postfix(Expr expression);
    Expr parse_postfix_filters(Expr expression);
    Expr parse_subscript(Expr object);
    Expr parse_attribute(Expr object);
    Expr parse_test(Expr input);
    CallArguments parse_arguments();
    bool is_tuple_end(std::string_view end) const;

  protected:
    SyntaxTree& tree_;
};

}  // namespace solard::jinja
