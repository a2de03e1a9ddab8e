// Macros as functions.
#pragma once

#include "inference/template/evaluator.hpp"
#include "inference/template/syntax.hpp"

namespace solard::jinja {

// Returns the macro as a function that sees the variables of `scope`.
const Callable* make_macro(Runtime& runtime, Evaluator& evaluator, const Macro& macro, const Scope& scope);

}  // namespace solard::jinja
