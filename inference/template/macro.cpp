// Macros as functions.
#include "inference/template/evaluator.hpp"

#include <algorithm>
#include <memory>
#include <string>

namespace solard::jinja {
namespace {

class MacroFunction final : public Callable {
  public:
    MacroFunction(Evaluator& evaluator, const Macro& macro, const Scope& scope)
        : evaluator_(evaluator), macro_(macro), scope_(scope) {}

    Value call(Runtime& runtime, const Arguments& arguments) const override {
        Scope& scope = *evaluator_.make_scope(&scope_);
        if (arguments.positional.size() > macro_.parameters.size())
            fail("the macro '" + macro_.name + "' takes at most " + std::to_string(macro_.parameters.size()) +
                 " arguments");
        for (std::size_t i = 0; i < arguments.positional.size(); ++i)
            scope.set(runtime, macro_.parameters[i].name, arguments.positional[i]);
        for (const auto& [name, value] : arguments.named) set_named(runtime, scope, arguments, name, value);
        for (std::size_t i = arguments.positional.size(); i < macro_.parameters.size(); ++i) {
            const Parameter& parameter = macro_.parameters[i];
            const auto is_given = [&](const auto& argument) { return argument.first == parameter.name; };
            if (std::ranges::any_of(arguments.named, is_given)) continue;
            const Value value = parameter.default_value != nullptr
                                    ? evaluator_.evaluate(*parameter.default_value, scope)
                                    : Value(Undefined{parameter.name});
            scope.set(runtime, parameter.name, value);
        }
        return evaluator_.capture(macro_.body, scope);
    }

  private:
    void set_named(Runtime& runtime, Scope& scope, const Arguments& arguments, std::string_view name,
                   const Value& value) const {
        const auto parameter = std::ranges::find(macro_.parameters, name, &Parameter::name);
        const bool is_caller = name == "caller";  // from a call block
        if (parameter == macro_.parameters.end() && !is_caller)
            fail("the macro '" + macro_.name + "' has no argument '" + std::string(name) + "'");
        if (parameter - macro_.parameters.begin() < std::ssize(arguments.positional))
            fail("the macro '" + macro_.name + "' has the argument '" + std::string(name) + "' twice");
        scope.set(runtime, name, value);
    }

    Evaluator& evaluator_;
    const Macro& macro_;
    const Scope& scope_;
};

}  // namespace

const Callable* Evaluator::make_macro(const Macro& macro, const Scope& scope) {
    return runtime_.callable(std::make_unique<MacroFunction>(*this, macro, scope));
}

}  // namespace solard::jinja
