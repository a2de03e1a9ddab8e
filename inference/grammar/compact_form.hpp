// The bytes in which a compiled grammar goes from one process to another.
#pragma once

#include <xgrammar/xgrammar.h>

#include <string>

#include "inference/error.hpp"

namespace solard {

// Returns the grammar as bytes. The library's own form repeats the automaton of the whole grammar for every
// rule, so that its size grows with the square of the grammar; here, the automaton is there once. `grammar`
// must not be used after the call.
std::string compact_form(xgrammar::CompiledGrammar grammar);

// Returns the grammar that was made by compact_form() of the same version of the program. All its rules share
// one automaton. Errors: backend_failed if the bytes are not those of such a grammar.
result<xgrammar::CompiledGrammar> from_compact_form(const std::string& bytes,
                                                    const xgrammar::TokenizerInfo& info);

}  // namespace solard
