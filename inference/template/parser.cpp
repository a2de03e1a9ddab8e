#include "inference/template/parser.hpp"

#include <initializer_list>
#include <utility>

#include "inference/template/expression_parser.hpp"
#include "inference/template/failure.hpp"

namespace solard::jinja {
namespace {

class Parser : ExpressionParser {
  public:
    using ExpressionParser::ExpressionParser;

    void run() {
        tree_.root = parse_body({});
        if (token().kind != TokenKind::end) fail_unexpected();
    }

  private:
    template <class Node>
    const Statement* make(Node node, std::size_t offset) {
        return &tree_.statements.emplace_back(Statement{std::move(node), offset});
    }

    bool is_any_name(std::initializer_list<std::string_view> names) const {
        for (const auto name : names)
            if (is_name(name)) return true;
        return false;
    }

    // Parses statements up to a tag with one of the names `ends`, and stops at that name.
    Block parse_body(std::initializer_list<std::string_view> ends) {
        const Level level(*this);
        const std::size_t begin = token().offset;
        Block body;
        while (token().kind != TokenKind::end) {
            const std::size_t offset = token().offset;
            if (token().kind == TokenKind::data) {
                body.push_back(make(Data{MarkedText(take().text, Trust::trusted)}, offset));
            } else if (token().kind == TokenKind::variable_begin) {
                take();
                body.push_back(make(Output{parse_tuple()}, offset));
                expect(TokenKind::variable_end);
            } else {
                expect(TokenKind::block_begin);
                if (is_any_name(ends)) return body;
                body.push_back(parse_statement());
                expect(TokenKind::block_end);
            }
        }
        if (ends.size() > 0)
            throw PlacedFailure{
                {Failure::Kind::fault,
                 "the tag '" + std::string(std::data(ends)[ends.size() - 1]) + "' is missing"},
                begin};
        return body;
    }

    // Parses the rest of an opening tag, the statements, and the name of the closing tag.
    Block parse_enclosed(std::string_view end) {
        end_tag();
        Block body = parse_body({end});
        take();
        return body;
    }
    // The peers allow a colon at the end of an opening tag, as in Python.
    void end_tag() {
        skip_symbol(":");
        expect(TokenKind::block_end);
    }

    const Statement* parse_statement() {
        const std::size_t offset = token().offset;
        const std::string tag = expect_any_name();
        if (tag == "for") return parse_for(offset);
        if (tag == "if") return parse_if(offset);
        if (tag == "set") return parse_set(offset);
        if (tag == "macro") return parse_macro(offset);
        if (tag == "call") return parse_call(offset);
        if (tag == "with") return parse_with(offset);
        if (tag == "filter") {
            const Expr filters = parse_filters(parse_filter(nullptr));
            return make(FilterBlock{filters, parse_enclosed("endfilter")}, offset);
        }
        if (tag == "generation") {
            // transformers renders the body of this tag as that of a macro, so a loop around it is not known.
            const std::size_t loops = std::exchange(num_loops_, 0);
            Block body = parse_enclosed("endgeneration");
            num_loops_ = loops;
            return make(Generation{std::move(body)}, offset);
        }
        if (tag == "break" || tag == "continue") {
            if (num_loops_ == 0) fail_at(offset, "'" + tag + "' stands outside of a loop");
            return tag == "break" ? make(Break{}, offset) : make(Continue{}, offset);
        }
        fail_at(offset, "the tag '" + tag + "' is not supported");
    }

    [[noreturn]] static void fail_at(std::size_t offset, std::string message) {
        throw PlacedFailure{{Failure::Kind::fault, std::move(message)}, offset};
    }

    const Statement* parse_for(std::size_t offset) {
        For loop{parse_target(false), nullptr, nullptr, {}, {}};
        expect_name("in");
        loop.items = parse_tuple(false, "recursive");
        if (skip_name("if")) loop.condition = parse_expression();
        if (is_name("recursive")) fail_here("recursive loops are not supported");
        end_tag();
        ++num_loops_;
        loop.body = parse_body({"else", "endfor"});
        --num_loops_;
        if (take().text == "else") loop.otherwise = parse_enclosed("endfor");
        return make(std::move(loop), offset);
    }

    const Statement* parse_if(std::size_t offset) {
        If statement;
        while (true) {
            const Expr condition = parse_tuple(false);
            end_tag();
            statement.branches.emplace_back(condition, parse_body({"elif", "else", "endif"}));
            const bool has_elif = is_name("elif");
            const bool has_else = is_name("else");
            take();
            if (has_elif) continue;
            if (has_else) statement.otherwise = parse_enclosed("endif");
            return make(std::move(statement), offset);
        }
    }

    const Statement* parse_set(std::size_t offset) {
        Target target = parse_target(true);
        if (skip_symbol("=")) return make(Set{std::move(target), parse_tuple()}, offset);
        const Expr filters = is_symbol("|") ? parse_filters(nullptr) : nullptr;
        return make(SetBlock{std::move(target), filters, parse_enclosed("endset")}, offset);
    }

    const Statement* parse_with(std::size_t offset) {
        With with;
        while (token().kind != TokenKind::block_end && !is_symbol(":")) {
            if (!with.variables.empty()) expect_symbol(",");
            Target target = parse_target(false);
            expect_symbol("=");
            with.variables.emplace_back(std::move(target), parse_expression());
        }
        with.body = parse_enclosed("endwith");
        return make(std::move(with), offset);
    }

    const Statement* parse_macro(std::size_t offset) {
        Macro macro;
        macro.name = expect_any_name();
        macro.parameters = parse_parameters();
        macro.body = parse_macro_body("endmacro");
        return make(std::move(macro), offset);
    }

    const Statement* parse_call(std::size_t offset) {
        Macro caller;
        caller.name = "caller";
        if (is_symbol("(")) caller.parameters = parse_parameters();
        const Expr call = parse_expression();
        if (!std::holds_alternative<Call>(call->node))
            fail_at(offset, "the tag 'call' needs the call of a macro");
        caller.body = parse_macro_body("endcall");
        return make(CallBlock{std::move(caller), call}, offset);
    }

    Block parse_macro_body(std::string_view end) {
        const std::size_t loops = std::exchange(num_loops_, 0);
        Block body = parse_enclosed(end);
        num_loops_ = loops;
        return body;
    }

    std::vector<Parameter> parse_parameters() {
        expect_symbol("(");
        std::vector<Parameter> parameters;
        while (!is_symbol(")")) {
            if (!parameters.empty()) expect_symbol(",");
            Parameter parameter{expect_any_name(), nullptr};
            check_assignable(parameter.name);
            for (const auto& other : parameters)
                if (other.name == parameter.name) fail_here("the parameter " + other.name + " is repeated");
            if (skip_symbol("=")) {
                parameter.default_value = parse_expression();
            } else if (!parameters.empty() && parameters.back().default_value != nullptr) {
                fail_here("a parameter without a default follows one with a default");
            }
            parameters.push_back(std::move(parameter));
        }
        take();
        return parameters;
    }

    void check_assignable(std::string_view name) const {
        for (const auto constant : {"true", "True", "false", "False", "none", "None"})
            if (name == constant) fail_here("'" + std::string(name) + "' cannot be assigned to");
    }

    Target parse_target(bool with_member) {
        const std::size_t offset = token().offset;
        std::vector<Target> parts;
        bool has_comma = false;
        while (token().kind == TokenKind::name || is_symbol("(")) {
            if (is_name("in")) break;
            parts.push_back(parse_one_target(with_member));
            if (!skip_symbol(",")) break;
            has_comma = true;
        }
        if (parts.empty()) fail_unexpected();
        if (!has_comma) return std::move(parts.front());
        Target target;
        target.parts = std::move(parts);
        target.offset = offset;
        return target;
    }

    Target parse_one_target(bool with_member) {
        const std::size_t offset = token().offset;
        if (skip_symbol("(")) {
            const Level level(*this);
            Target target = parse_target(with_member);
            expect_symbol(")");
            return target;
        }
        Target target;
        target.offset = offset;
        target.name = expect_any_name();
        check_assignable(target.name);
        if (with_member && skip_symbol("."))
            target.member = &tree_.texts.emplace_back(expect_any_name(), Trust::trusted);
        return target;
    }

    std::size_t num_loops_ = 0;  // the loops around the current statement, up to a macro
};

}  // namespace

SyntaxTree parse_template(std::string_view source, const Limits& limits) {
    SyntaxTree tree;
    Parser(tree, tokenize(source), limits.syntax_depth).run();
    return tree;
}

}  // namespace solard::jinja
