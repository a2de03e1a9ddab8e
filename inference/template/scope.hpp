// The variables of a rendering.
#pragma once

#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Variables which are visible in a part of a template. A loop, a macro and a `with` have scopes of their own.
// Scopes live until the rendering ends, because a macro keeps the scope in which it was defined.
class Scope {
  public:
    explicit Scope(const Scope* parent) : parent_(parent) {}

    // Returns the variable of this or an outer scope, or a null pointer.
    const Value* find(Runtime& runtime, std::string_view name) const {
        std::size_t num_passed = 0;  // scopes; four of them are a step
        for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
            runtime.step(scope->variables_.size() / 8 + (++num_passed % 4 == 0 ? 1 : 0));
            for (const auto& [known, value] : scope->variables_)
                if (known == name) return &value;
        }
        return nullptr;
    }
    // Sets a variable of this scope. The name must live until the rendering ends.
    void set(Runtime& runtime, std::string_view name, const Value& value) {
        for (auto& [known, old] : variables_) {
            if (known == name) {
                old = value;
                return;
            }
        }
        runtime.step(1 + variables_.size() / 8);
        runtime.charge_memory(sizeof(variables_[0]));
        variables_.emplace_back(name, value);
    }

  private:
    const Scope* parent_;
    std::vector<std::pair<std::string_view, Value>> variables_;
};

}  // namespace solard::jinja
