// The expressions of a template.
#include <algorithm>

#include "inference/template/access.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/evaluator.hpp"
#include "inference/template/filters.hpp"
#include "inference/template/members.hpp"
#include "inference/template/operators.hpp"
#include "inference/template/tests.hpp"

namespace solard::jinja {

Value Evaluator::evaluate(const Expression& expression, Scope& scope) {
    const Runtime::Level level(runtime_);
    runtime_.step();
    offset_ = expression.offset;
    return std::visit([&](const auto& node) { return evaluate(node, scope); }, expression.node);
}

Value Evaluator::evaluate(const Name& name, Scope& scope) {
    const Value* found = scope.find(runtime_, name.name);
    return found != nullptr ? *found : Undefined{name.name};
}

Value Evaluator::evaluate(const Attribute& attribute, Scope& scope) {
    const std::size_t offset = offset_;
    const Value object = evaluate(*attribute.object, scope);
    offset_ = offset;
    return attribute_of(runtime_, object, *attribute.name);
}

Value Evaluator::evaluate(const Item& item, Scope& scope) {
    const std::size_t offset = offset_;
    const Value object = evaluate(*item.object, scope);
    const Value key = evaluate(*item.key, scope);
    offset_ = offset;
    return item_of(runtime_, object, key);
}

Value Evaluator::evaluate(const Slice& slice, Scope& scope) {
    const std::size_t offset = offset_;
    const Value object = evaluate(*slice.object, scope);
    const auto part = [&](Expr expression) -> Value {
        return expression != nullptr ? evaluate(*expression, scope) : None{};
    };
    const Value start = part(slice.start);
    const Value stop = part(slice.stop);
    const Value step = part(slice.step);
    offset_ = offset;
    return slice_of(runtime_, object, start, stop, step);
}

Arguments Evaluator::evaluate_arguments(const CallArguments& arguments, Scope& scope) {
    Arguments values;
    values.positional.reserve(arguments.positional.size());
    for (const Expr value : arguments.positional) values.positional.push_back(evaluate(*value, scope));
    for (const auto& [name, value] : arguments.named)
        values.named.emplace_back(name, evaluate(*value, scope));
    return values;
}

Value Evaluator::evaluate(const Call& call, Scope& scope) {
    return this->call(call, nullptr, scope);
}

// Calls a function. `caller` is the body of a call block, or a null pointer.
Value Evaluator::call(const Call& call, const Macro* caller, Scope& scope) {
    const std::size_t offset = offset_;
    const Value function = evaluate(*call.function, scope);
    Arguments arguments = evaluate_arguments(call.arguments, scope);
    if (caller != nullptr) arguments.named.emplace_back("caller", make_macro(*caller, scope));
    offset_ = offset;
    if (const auto* undefined = as<Undefined>(function)) fail_undefined(*undefined);
    const auto* callable = as<const Callable*>(function);
    if (callable == nullptr)
        fail("a value of the type " + std::string(type_name(function)) + " cannot be called");
    return (*callable)->call(runtime_, arguments);
}

Value Evaluator::evaluate(const FilterUse& filter, Scope& scope) {
    const std::size_t offset = offset_;
    const Value input = filter.input != nullptr ? evaluate(*filter.input, scope) : captured_;
    const Arguments arguments = evaluate_arguments(filter.arguments, scope);
    offset_ = offset;
    return apply_filter(runtime_, filter.name, input, arguments);
}

Value Evaluator::evaluate(const TestUse& test, Scope& scope) {
    const std::size_t offset = offset_;
    const Value input = evaluate(*test.input, scope);
    const Arguments arguments = evaluate_arguments(test.arguments, scope);
    offset_ = offset;
    return apply_test(runtime_, test.name, input, arguments);
}

Value Evaluator::evaluate(const Not& operation, Scope& scope) {
    return !is_true(evaluate(*operation.operand, scope));
}

Value Evaluator::evaluate(const Sign& operation, Scope& scope) {
    const std::size_t offset = offset_;
    const Value value = evaluate(*operation.operand, scope);
    offset_ = offset;
    return negate(value, operation.is_minus);
}

Value Evaluator::evaluate(const Binary& operation, Scope& scope) {
    const std::size_t offset = offset_;
    const Value left = evaluate(*operation.left, scope);
    const Value right = evaluate(*operation.right, scope);
    offset_ = offset;
    return apply(runtime_, operation.op, left, right);
}

Value Evaluator::evaluate(const Compare& comparison, Scope& scope) {
    const std::size_t offset = offset_;
    Value left = evaluate(*comparison.first, scope);
    for (const auto& [op, operand] : comparison.rest) {
        const Value right = evaluate(*operand, scope);
        offset_ = offset;
        if (!compare(runtime_, op, left, right)) return false;
        left = right;
    }
    return true;
}

Value Evaluator::evaluate(const Logic& logic, Scope& scope) {
    const Value left = evaluate(*logic.left, scope);
    return is_true(left) == logic.is_and ? evaluate(*logic.right, scope) : left;
}

Value Evaluator::evaluate(const Concat& concat, Scope& scope) {
    std::vector<Value> parts;
    parts.reserve(concat.parts.size());
    for (const Expr part : concat.parts) parts.push_back(evaluate(*part, scope));
    return jinja::concat(runtime_, parts);
}

Value Evaluator::evaluate(const Conditional& conditional, Scope& scope) {
    if (is_true(evaluate(*conditional.condition, scope))) return evaluate(*conditional.yes, scope);
    return conditional.no != nullptr ? evaluate(*conditional.no, scope) : Value(Undefined{});
}

Value Evaluator::evaluate(const ListDisplay& list, Scope& scope) {
    std::vector<Value> items;
    items.reserve(list.items.size());
    for (const Expr item : list.items) items.push_back(evaluate(*item, scope));
    return runtime_.list(std::move(items), list.kind);
}

Value Evaluator::evaluate(const DictDisplay& dict, Scope& scope) {
    Dict entries;
    for (const auto& [key, value] : dict.entries) {
        const Value key_value = evaluate(*key, scope);
        put_entry(runtime_, entries, key_value, evaluate(*value, scope));
    }
    return runtime_.dict(std::move(entries.entries));
}

}  // namespace solard::jinja
