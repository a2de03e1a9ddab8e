// The chat templates that have a name of their own, for folders without a template.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace solard {

// Returns the template's source. The forms of SOLAR, ChatML, Llama 2, Llama 3, Mistral, Zephyr and Vicuna are
// known from their publications; the sources are our own.
std::optional<std::string_view> builtin_template(std::string_view name);

// Returns all names, separated by commas.
std::string builtin_template_names();

}  // namespace solard
