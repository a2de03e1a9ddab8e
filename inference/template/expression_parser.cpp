#include "inference/template/expression_parser.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "inference/template/failure.hpp"

namespace solard::jinja {

const MarkedText* ExpressionParser::make_text(std::string text) {
    return &tree_.texts.emplace_back(std::move(text), Trust::trusted);
}

Expr ExpressionParser::parse_expression() {
    const Level level(*this);
    const std::size_t offset = token().offset;
    Expr value = parse_or();
    while (skip_name("if")) {
        const Expr condition = parse_or();
        const Expr otherwise = skip_name("else") ? parse_expression() : nullptr;
        value = make(Conditional{condition, value, otherwise}, offset);
    }
    return value;
}

Expr ExpressionParser::parse_or() {
    const std::size_t offset = token().offset;
    Expr left = parse_and();
    while (skip_name("or")) left = make(Logic{left, parse_and(), false}, offset);
    return left;
}

Expr ExpressionParser::parse_and() {
    const std::size_t offset = token().offset;
    Expr left = parse_not();
    while (skip_name("and")) left = make(Logic{left, parse_not(), true}, offset);
    return left;
}

Expr ExpressionParser::parse_not() {
    const std::size_t offset = token().offset;
    if (!skip_name("not")) return parse_compare();
    const Level level(*this);
    return make(Not{parse_not()}, offset);
}

Expr ExpressionParser::parse_compare() {
    static constexpr std::array<std::pair<std::string_view, Comparison>, 6> comparisons{
        {{"==", Comparison::equal},
         {"!=", Comparison::not_equal},
         {"<", Comparison::less},
         {"<=", Comparison::less_equal},
         {">", Comparison::greater},
         {">=", Comparison::greater_equal}}};
    const std::size_t offset = token().offset;
    Compare compare{parse_sum(), {}};
    while (true) {
        std::optional<Comparison> found;
        for (const auto& [symbol, comparison] : comparisons)
            if (!found && skip_symbol(symbol)) found = comparison;
        if (!found && skip_name("in")) found = Comparison::in;
        if (!found && is_name("not") && token_after().kind == TokenKind::name && token_after().text == "in") {
            take();
            take();
            found = Comparison::not_in;
        }
        if (!found) break;
        compare.rest.emplace_back(*found, parse_sum());
    }
    return compare.rest.empty() ? compare.first : make(std::move(compare), offset);
}

Expr ExpressionParser::parse_sum() {
    Expr left = parse_concat();
    while (is_symbol("+") || is_symbol("-")) {
        const Token op = take();
        left = make(Binary{op.text == "+" ? Operator::add : Operator::subtract, left, parse_concat()},
                    op.offset);
    }
    return left;
}

Expr ExpressionParser::parse_concat() {
    const std::size_t offset = token().offset;
    Concat concat{{parse_product()}};
    while (skip_symbol("~")) concat.parts.push_back(parse_product());
    return concat.parts.size() == 1 ? concat.parts.front() : make(std::move(concat), offset);
}

Expr ExpressionParser::parse_product() {
    Expr left = parse_power();
    while (is_symbol("*") || is_symbol("/") || is_symbol("//") || is_symbol("%")) {
        const Token op = take();
        const Operator operation = op.text == "*"    ? Operator::multiply
                                   : op.text == "/"  ? Operator::divide
                                   : op.text == "//" ? Operator::floor_divide
                                                     : Operator::modulo;
        left = make(Binary{operation, left, parse_power()}, op.offset);
    }
    return left;
}

Expr ExpressionParser::parse_power() {
    Expr left = parse_unary();
    while (is_symbol("**")) {
        const Token op = take();
        left = make(Binary{Operator::power, left, parse_unary()}, op.offset);
    }
    return left;
}

Expr ExpressionParser::parse_unary(bool with_filters) {
    const std::size_t offset = token().offset;
    Expr value = nullptr;
    if (is_symbol("-") || is_symbol("+")) {
        const Level level(*this);
        const bool is_minus = take().text == "-";
        value = make(Sign{parse_unary(false), is_minus}, offset);
    } else {
        value = parse_primary();
    }
    value = parse_postfix(value);
    return with_filters ? parse_postfix_filters(value) : value;
}

Expr ExpressionParser::parse_primary() {
    const std::size_t offset = token().offset;
    switch (token().kind) {
        case TokenKind::name:
            return parse_name();
        case TokenKind::string: {
            std::string text;
            while (token().kind == TokenKind::string) text += take().text;
            return make(Literal{make_text(std::move(text))}, offset);
        }
        case TokenKind::integer:
        case TokenKind::floating:
            return parse_number();
        default:
            break;
    }
    if (is_symbol("[")) return parse_list();
    if (is_symbol("{")) return parse_dict();
    if (!skip_symbol("(")) fail_unexpected();
    const Expr inner = is_symbol(")") ? make(ListDisplay{{}, List::Kind::tuple}, offset) : parse_tuple();
    expect_symbol(")");
    return inner;
}

Expr ExpressionParser::parse_name() {
    const Token name = take();
    if (name.text == "true" || name.text == "True") return make(Literal{true}, name.offset);
    if (name.text == "false" || name.text == "False") return make(Literal{false}, name.offset);
    if (name.text == "none" || name.text == "None") return make(Literal{None{}}, name.offset);
    return make(Name{name.text}, name.offset);
}

Expr ExpressionParser::parse_number() {
    const std::size_t offset = token().offset;
    const bool is_integer = token().kind == TokenKind::integer;
    const std::string text = token().text;
    if (is_integer) {
        std::int64_t number = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
        if (read.ec != std::errc()) fail_here("the number is too large");
        take();
        return make(Literal{number}, offset);
    }
    double number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc()) fail_here("the number is too large or too small");
    take();
    return make(Literal{number}, offset);
}

Expr ExpressionParser::parse_list() {
    const std::size_t offset = take().offset;
    ListDisplay list{{}, List::Kind::list};
    while (!is_symbol("]")) {
        if (!list.items.empty()) expect_symbol(",");
        if (is_symbol("]")) break;
        list.items.push_back(parse_expression());
    }
    take();
    return make(std::move(list), offset);
}

Expr ExpressionParser::parse_dict() {
    const std::size_t offset = take().offset;
    DictDisplay dict;
    while (!is_symbol("}")) {
        if (!dict.entries.empty()) expect_symbol(",");
        if (is_symbol("}")) break;
        const Expr key = parse_expression();
        expect_symbol(":");
        dict.entries.emplace_back(key, parse_expression());
    }
    take();
    return make(std::move(dict), offset);
}

bool ExpressionParser::is_tuple_end(std::string_view end) const {
    return token().kind == TokenKind::variable_end || token().kind == TokenKind::block_end ||
           is_symbol(")") || (!end.empty() && is_name(end));
}

Expr ExpressionParser::parse_tuple(bool with_conditional, std::string_view end) {
    const std::size_t offset = token().offset;
    ListDisplay tuple{{}, List::Kind::tuple};
    bool has_comma = false;
    while (!is_tuple_end(end)) {
        tuple.items.push_back(with_conditional ? parse_expression() : parse_or());
        if (!skip_symbol(",")) break;
        has_comma = true;
    }
    if (tuple.items.empty()) fail_here("found " + describe_token() + ", expected an expression");
    return has_comma ? make(std::move(tuple), offset) : tuple.items.front();
}

Expr ExpressionParser::parse_postfix(Expr expression) {
    while (true) {
        const std::size_t offset = token().offset;
        if (is_symbol(".")) {
            expression = parse_attribute(expression);
        } else if (is_symbol("[")) {
            expression = parse_subscript(expression);
        } else if (is_symbol("(")) {
            expression = make(Call{expression, parse_arguments()}, offset);
        } else {
            return expression;
        }
    }
}

Expr ExpressionParser::parse_postfix_filters(Expr expression) {
    while (true) {
        const std::size_t offset = token().offset;
        if (is_symbol("|")) {
            expression = parse_filters(expression);
        } else if (is_name("is")) {
            expression = parse_test(expression);
        } else if (is_symbol("(")) {
            expression = make(Call{expression, parse_arguments()}, offset);
        } else {
            return expression;
        }
    }
}

Expr ExpressionParser::parse_attribute(Expr object) {
    const std::size_t offset = take().offset;
    if (token().kind == TokenKind::integer) return make(Item{object, parse_number()}, offset);
    return make(Attribute{object, make_text(expect_any_name())}, offset);
}

Expr ExpressionParser::parse_subscript(Expr object) {
    const std::size_t offset = take().offset;
    Slice slice{object, nullptr, nullptr, nullptr};
    if (!is_symbol(":")) slice.start = parse_expression();
    const bool is_slice = skip_symbol(":");
    if (!is_slice) {
        if (is_symbol(",")) fail_here("several indexes in one bracket are not supported");
        expect_symbol("]");
        return make(Item{object, slice.start}, offset);
    }
    if (!is_symbol(":") && !is_symbol("]")) slice.stop = parse_expression();
    if (skip_symbol(":") && !is_symbol("]")) slice.step = parse_expression();
    expect_symbol("]");
    return make(slice, offset);
}

CallArguments ExpressionParser::parse_arguments() {
    expect_symbol("(");
    CallArguments arguments;
    bool needs_comma = false;
    while (!is_symbol(")")) {
        if (needs_comma) expect_symbol(",");
        if (is_symbol(")")) break;
        if (is_symbol("*") || is_symbol("**"))
            fail_here("arguments that are unpacked with * are not supported");
        if (token().kind == TokenKind::name && token_after().kind == TokenKind::symbol &&
            token_after().text == "=") {
            std::string name = take().text;
            take();
            for (const auto& [known, value] : arguments.named)
                if (known == name) fail_here("the argument " + name + " is repeated");
            arguments.named.emplace_back(std::move(name), parse_expression());
        } else {
            if (!arguments.named.empty()) fail_here("an argument without a name follows one with a name");
            arguments.positional.push_back(parse_expression());
        }
        needs_comma = true;
    }
    take();
    return arguments;
}

Expr ExpressionParser::parse_filters(Expr input) {
    while (skip_symbol("|")) input = parse_filter(input);
    return input;
}

Expr ExpressionParser::parse_filter(Expr input) {
    const std::size_t offset = token().offset;
    FilterUse filter{input, expect_any_name(), {}};
    if (is_symbol("(")) filter.arguments = parse_arguments();
    return make(std::move(filter), offset);
}

Expr ExpressionParser::parse_test(Expr input) {
    take();
    const std::size_t offset = token().offset;
    const bool is_negated = skip_name("not");
    TestUse test{input, expect_any_name(), {}};
    const TokenKind kind = token().kind;
    const bool begins_value = kind == TokenKind::name || kind == TokenKind::string ||
                              kind == TokenKind::integer || kind == TokenKind::floating || is_symbol("[") ||
                              is_symbol("{");
    if (is_symbol("(")) {
        test.arguments = parse_arguments();
    } else if (begins_value && !is_name("else") && !is_name("or") && !is_name("and")) {
        if (is_name("is")) fail_here("several tests cannot be chained with 'is'");
        test.arguments.positional.push_back(parse_postfix(parse_primary()));
    }
    const Expr result = make(std::move(test), offset);
    return is_negated ? make(Not{result}, offset) : result;
}

}  // namespace solard::jinja
