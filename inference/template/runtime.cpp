#include "inference/template/runtime.hpp"

#include <utility>

namespace solard::jinja {

Value Runtime::text(MarkedText text) {
    step();
    copy(text.size());
    charge_memory(sizeof(MarkedText) + text.size() + text.runs().size_bytes());
    return &texts_.emplace_back(std::move(text));
}

Value Runtime::list(std::vector<Value> items, List::Kind kind) {
    step(1 + items.size() / 8);
    charge_memory(sizeof(List) + items.size() * sizeof(Value));
    return &lists_.emplace_back(List{.kind = kind, .items = std::move(items)});
}

Value Runtime::dict(std::vector<std::pair<Value, Value>> entries) {
    step(1 + entries.size() / 8);
    charge_memory(sizeof(Dict) + entries.size() * sizeof(entries[0]));
    return &dicts_.emplace_back(Dict{std::move(entries)});
}

Namespace* Runtime::make_namespace() {
    step();
    charge_memory(sizeof(Namespace));
    return &namespaces_.emplace_back();
}

Loop* Runtime::make_loop() {
    step();
    charge_memory(sizeof(Loop));
    return &loops_.emplace_back();
}

const Callable* Runtime::callable(std::unique_ptr<Callable> callable) {
    step();
    charge_memory(128);  // more than any Callable and its pointer
    return callables_.emplace_back(std::move(callable)).get();
}

void Runtime::fail_steps() const {
    fail_limit("it would take more than " + std::to_string(limits_.steps) + " steps");
}

void Runtime::fail_memory() const {
    fail_limit("its values would take more than " + std::to_string(limits_.value_bytes) + " bytes");
}

void Runtime::fail_depth() const {
    fail_limit("it is nested deeper than " + std::to_string(limits_.depth) + " levels");
}

}  // namespace solard::jinja
