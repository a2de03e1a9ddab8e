// The syntax tree of a template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "inference/template/value.hpp"
#include "inference/text/marked_text.hpp"

namespace solard::jinja {

struct Expression;
struct Statement;
using Expr = const Expression*;
using Block = std::vector<const Statement*>;

struct CallArguments {
    std::vector<Expr> positional;
    std::vector<std::pair<std::string, Expr>> named;
};

struct Literal {
    Value value;
};
struct Name {
    std::string name;
};
struct Attribute {  // object.name
    Expr object;
    const MarkedText* name;
};
struct Item {  // object[key]
    Expr object;
    Expr key;
};
struct Slice {  // object[start:stop:step]; each part but the object may be null
    Expr object;
    Expr start;
    Expr stop;
    Expr step;
};
struct Call {
    Expr function;
    CallArguments arguments;
};
struct FilterUse {
    Expr input;  // null: the captured text of a filter block or a set block
    std::string name;
    CallArguments arguments;
};
struct TestUse {
    Expr input;
    std::string name;
    CallArguments arguments;
};
struct Not {
    Expr operand;
};
struct Sign {
    Expr operand;
    bool is_minus;
};
enum class Operator : std::uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
struct Binary {
    Operator op;
    Expr left;
    Expr right;
};
enum class Comparison : std::uint8_t {
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in
};
struct Compare {  // first OP operand OP operand ...
    Expr first;
    std::vector<std::pair<Comparison, Expr>> rest;
};
struct Logic {  // `and` or `or`
    Expr left;
    Expr right;
    bool is_and;
};
struct Concat {
    std::vector<Expr> parts;
};
struct Conditional {  // yes if condition else no
    Expr condition;
    Expr yes;
    Expr no;  // null: undefined
};
struct ListDisplay {
    std::vector<Expr> items;
    List::Kind kind;
};
struct DictDisplay {
    std::vector<std::pair<Expr, Expr>> entries;
};

struct Expression {
    std::variant<Literal, Name, Attribute, Item, Slice, Call, FilterUse, TestUse, Not, Sign, Binary, Compare,
                 Logic, Concat, Conditional, ListDisplay, DictDisplay>
        node;
    std::size_t offset = 0;  // in the source
};

// What a value can be assigned to: a name, a member of a namespace, or several targets.
struct Target {
    std::string name;                    // empty if there are parts
    const MarkedText* member = nullptr;  // of the namespace `name`
    std::vector<Target> parts;
    std::size_t offset = 0;
};

struct Parameter {
    std::string name;
    Expr default_value;  // may be null
};

struct Data {
    MarkedText text;
};
struct Output {
    Expr value;
};
struct For {
    Target target;
    Expr items;
    Expr condition;  // may be null
    Block body;
    Block otherwise;
};
struct If {
    std::vector<std::pair<Expr, Block>> branches;
    Block otherwise;
};
struct Set {
    Target target;
    Expr value;
};
struct SetBlock {
    Target target;
    Expr filters;  // null: the captured text itself
    Block body;
};
struct FilterBlock {
    Expr filters;
    Block body;
};
struct Macro {
    std::string name;
    std::vector<Parameter> parameters;
    Block body;
};
struct CallBlock {
    Macro caller;
    Expr call;
};
struct With {
    std::vector<std::pair<Target, Expr>> variables;
    Block body;
};
struct Generation {  // a mark of transformers around the text of an answer
    Block body;
};
struct Break {};
struct Continue {};

struct Statement {
    std::variant<Data, Output, For, If, Set, SetBlock, FilterBlock, Macro, CallBlock, With, Generation, Break,
                 Continue>
        node;
    std::size_t offset = 0;
};

// Owns the nodes of one template. The nodes are not nested in their owner, so freeing them needs no depth.
struct SyntaxTree {
    std::deque<Expression> expressions;
    std::deque<Statement> statements;
    std::deque<MarkedText> texts;
    Block root;
};

}  // namespace solard::jinja
