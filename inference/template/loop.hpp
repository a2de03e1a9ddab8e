// The members of the variable `loop`.
#pragma once

#include <optional>
#include <string_view>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Returns loop.name, or no value if there is no such member.
std::optional<Value> loop_member(Runtime& runtime, const Loop& loop, std::string_view name);

}  // namespace solard::jinja
