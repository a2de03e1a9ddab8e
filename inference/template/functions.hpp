// The global functions.
#pragma once

#include "inference/template/runtime.hpp"
#include "inference/template/scope.hpp"

namespace solard::jinja {

// Sets range, dict and namespace, which Jinja has, and raise_exception and strftime_now, which transformers
// adds.
void set_functions(Runtime& runtime, Scope& scope);

}  // namespace solard::jinja
