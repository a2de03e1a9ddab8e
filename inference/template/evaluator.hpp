// Evaluates the syntax tree of a template.
#pragma once

#include <deque>
#include <memory>

#include "inference/template/runtime.hpp"
#include "inference/template/scope.hpp"
#include "inference/template/syntax.hpp"

namespace solard::jinja {

// One rendering of a tree. The tree must outlive it.
class Evaluator {
  public:
    explicit Evaluator(Runtime& runtime) : runtime_(runtime) {}

    // Runs the statements with the variables of `scope`, and returns the text. Throws a PlacedFailure.
    MarkedText run(const Block& block, Scope& scope);

    // The functions below are for macros, which run as part of a rendering.

    Scope* make_scope(const Scope* parent);
    Value evaluate(const Expression& expression, Scope& scope);
    // Runs the statements and returns their text.
    Value capture(const Block& block, Scope& scope);

  private:
    enum class Flow { normal, breaks, continues };

    Flow run_block(const Block& block, Scope& scope);
    Flow run_statement(const Statement& statement, Scope& scope);
    Flow run(const Data& data, Scope& scope);
    Flow run(const Output& output, Scope& scope);
    Flow run(const For& loop, Scope& scope);
    Flow run(const If& statement, Scope& scope);
    Flow run(const Set& statement, Scope& scope);
    Flow run(const SetBlock& statement, Scope& scope);
    Flow run(const FilterBlock& statement, Scope& scope);
    Flow run(const Macro& macro, Scope& scope);
    Flow run(const CallBlock& statement, Scope& scope);
    Flow run(const With& statement, Scope& scope);
    Flow run(const Generation& statement, Scope& scope);
    Flow run(const Break&, Scope&) { return Flow::breaks; }
    Flow run(const Continue&, Scope&) { return Flow::continues; }

    Value evaluate(const Literal& literal, Scope&) { return literal.value; }
    Value evaluate(const Name& name, Scope& scope);
    Value evaluate(const Attribute& attribute, Scope& scope);
    Value evaluate(const Item& item, Scope& scope);
    Value evaluate(const Slice& slice, Scope& scope);
    Value evaluate(const Call& call, Scope& scope);
    Value evaluate(const FilterUse& filter, Scope& scope);
    Value evaluate(const TestUse& test, Scope& scope);
    Value evaluate(const Not& operation, Scope& scope);
    Value evaluate(const Sign& operation, Scope& scope);
    Value evaluate(const Binary& operation, Scope& scope);
    Value evaluate(const Compare& comparison, Scope& scope);
    Value evaluate(const Logic& logic, Scope& scope);
    Value evaluate(const Concat& concat, Scope& scope);
    Value evaluate(const Conditional& conditional, Scope& scope);
    Value evaluate(const ListDisplay& list, Scope& scope);
    Value evaluate(const DictDisplay& dict, Scope& scope);

    // Returns the macro as a function that sees the variables of `scope`.
    const Callable* make_macro(const Macro& macro, const Scope& scope);
    Arguments evaluate_arguments(const CallArguments& arguments, Scope& scope);
    Value call(const Call& call, const Macro* caller, Scope& scope);
    std::vector<Value> loop_items(const For& loop, Scope& scope);
    void assign(const Target& target, const Value& value, Scope& scope);
    void assign_member(const Target& target, const Value& value, const Scope& scope);
    void emit(const MarkedText& text);

    Runtime& runtime_;
    std::deque<Scope> scopes_;
    MarkedText output_;
    MarkedText* target_ = &output_;  // where text goes: the output, or a text that is captured
    Value captured_ = Undefined{};   // the input of the filters of a block
    std::size_t offset_ = 0;         // of the expression or statement which is evaluated
};

}  // namespace solard::jinja
