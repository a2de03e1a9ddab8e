// The statements of a template.
#include "inference/template/evaluator.hpp"

#include <utility>

#include "inference/template/access.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/operators.hpp"

namespace solard::jinja {

MarkedText Evaluator::run(const Block& block, Scope& scope) {
    try {
        run_block(block, scope);
    } catch (Failure& failure) {
        throw PlacedFailure{std::move(failure), offset_};
    }
    return std::move(output_);
}

Scope* Evaluator::make_scope(const Scope* parent) {
    runtime_.step();
    runtime_.charge_memory(sizeof(Scope));
    return &scopes_.emplace_back(parent);
}

Value Evaluator::capture(const Block& block, Scope& scope) {
    MarkedText text;
    MarkedText* const outer = std::exchange(target_, &text);
    run_block(block, scope);
    target_ = outer;
    return runtime_.text(std::move(text));
}

void Evaluator::emit(const MarkedText& text) {
    runtime_.copy(text.size());
    if (target_ != &output_) {
        runtime_.charge_memory(text.size());
    } else if (text.size() > runtime_.limits().output_bytes - output_.size()) {
        fail_limit("the prompt would have more than " + std::to_string(runtime_.limits().output_bytes) +
                   " bytes");
    }
    target_->append(text);
}

Evaluator::Flow Evaluator::run_block(const Block& block, Scope& scope) {
    for (const Statement* statement : block) {
        const Flow flow = run_statement(*statement, scope);
        if (flow != Flow::normal) return flow;
    }
    return Flow::normal;
}

Evaluator::Flow Evaluator::run_statement(const Statement& statement, Scope& scope) {
    const Runtime::Level level(runtime_);
    runtime_.step();
    offset_ = statement.offset;
    return std::visit([&](const auto& node) { return run(node, scope); }, statement.node);
}

Evaluator::Flow Evaluator::run(const Data& data, Scope&) {
    emit(data.text);
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const Output& output, Scope& scope) {
    emit(to_text(runtime_, evaluate(*output.value, scope)));
    return Flow::normal;
}

std::vector<Value> Evaluator::loop_items(const For& loop, Scope& scope) {
    const Value source = evaluate(*loop.items, scope);
    offset_ = loop.items->offset;
    const std::vector<Value>& items = items_of(runtime_, source);
    runtime_.charge_memory(items.size() * sizeof(Value));
    if (loop.condition == nullptr) return items;
    std::vector<Value> kept;
    for (const Value& item : items) {
        Scope& inner = *make_scope(&scope);
        assign(loop.target, item, inner);
        if (is_true(evaluate(*loop.condition, inner))) kept.push_back(item);
    }
    return kept;
}

Evaluator::Flow Evaluator::run(const For& loop, Scope& scope) {
    const Value list = runtime_.list(loop_items(loop, scope));
    const std::vector<Value>& items = as_list(list)->items;
    Loop* const state = runtime_.make_loop();
    state->items = &items;
    bool has_completed = false;  // an iteration, without `break` and `continue`
    for (; state->index < items.size(); ++state->index) {
        runtime_.step();
        Scope& inner = *make_scope(&scope);
        inner.set(runtime_, "loop", state);
        assign(loop.target, items[state->index], inner);
        const Flow flow = run_block(loop.body, inner);
        if (flow == Flow::breaks) break;
        has_completed = has_completed || flow == Flow::normal;
    }
    // In Jinja, `else` is also run if every iteration was left by `break` or `continue`.
    if (has_completed) return Flow::normal;
    return run_block(loop.otherwise, *make_scope(&scope));
}

Evaluator::Flow Evaluator::run(const If& statement, Scope& scope) {
    for (const auto& [condition, body] : statement.branches)
        if (is_true(evaluate(*condition, scope))) return run_block(body, scope);
    return run_block(statement.otherwise, scope);
}

Evaluator::Flow Evaluator::run(const Set& statement, Scope& scope) {
    assign(statement.target, evaluate(*statement.value, scope), scope);
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const SetBlock& statement, Scope& scope) {
    Value text = capture(statement.body, *make_scope(&scope));
    if (statement.filters != nullptr) {
        captured_ = text;
        text = evaluate(*statement.filters, scope);
    }
    assign(statement.target, text, scope);
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const FilterBlock& statement, Scope& scope) {
    captured_ = capture(statement.body, *make_scope(&scope));
    const Value text = evaluate(*statement.filters, scope);
    if (as_text(text) == nullptr) fail("the filters of a filter block must return a string");
    emit(*as_text(text));
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const Macro& macro, Scope& scope) {
    scope.set(runtime_, macro.name, make_macro(macro, scope));
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const CallBlock& statement, Scope& scope) {
    emit(to_text(runtime_, call(std::get<Call>(statement.call->node), &statement.caller, scope)));
    return Flow::normal;
}

Evaluator::Flow Evaluator::run(const With& statement, Scope& scope) {
    Scope& inner = *make_scope(&scope);
    for (const auto& [target, value] : statement.variables) assign(target, evaluate(*value, scope), inner);
    return run_block(statement.body, inner);
}

Evaluator::Flow Evaluator::run(const Generation& statement, Scope& scope) {
    return run_block(statement.body, *make_scope(&scope));
}

void Evaluator::assign(const Target& target, const Value& value, Scope& scope) {
    if (target.parts.empty()) {
        if (target.member != nullptr) return assign_member(target, value, scope);
        return scope.set(runtime_, target.name, value);
    }
    const std::vector<Value>& items = items_of(runtime_, value);
    if (items.size() != target.parts.size()) {
        offset_ = target.offset;
        fail(std::to_string(items.size()) + " values cannot be assigned to " +
             std::to_string(target.parts.size()) + " names");
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i], scope);
}

void Evaluator::assign_member(const Target& target, const Value& value, const Scope& scope) {
    const Value* found = scope.find(runtime_, target.name);
    const auto* object = found != nullptr ? as<Namespace*>(*found) : nullptr;
    if (object == nullptr) {
        offset_ = target.offset;
        fail("'" + target.name + "' is no namespace, so its members cannot be set");
    }
    for (auto& [name, old] : (*object)->members) {
        runtime_.step();
        if (name->bytes() == target.member->bytes()) {
            old = value;
            return;
        }
    }
    runtime_.charge_memory(sizeof((*object)->members[0]));
    (*object)->members.emplace_back(target.member, value);
}

}  // namespace solard::jinja
