// Which grammars of clients an answer can be held to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace solard {

// Returns what is not supported in a grammar in the notation of llama.cpp, as a clause such as "line 3: it is
// nested too deeply", or nothing. The library that compiles grammars has extensions of this notation, which
// are refused here, and no limits. It finds other mistakes itself.
std::optional<std::string> why_gbnf_not_supported(std::string_view grammar);

// The same for the notation of Lark. Only characters and rules of the grammar itself and of Lark's module
// `common` are supported.
std::optional<std::string> why_lark_not_supported(std::string_view grammar);

}  // namespace solard
