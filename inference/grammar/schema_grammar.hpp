// Grammars of XGrammar for JSON Schemas and for automata.
#pragma once

#include <xgrammar/xgrammar.h>

#include <boost/json/value.hpp>

#include "inference/grammar/text_automaton.hpp"

namespace solard {

// Returns the grammar of the JSON texts that satisfy the schema, in one form of white space only, so that
// much of a text follows from its schema. `schema` must be one to which why_not_supported() has no objection.
// An object has no other properties than those which the schema names, if it names some, in their order.
// Throws std::runtime_error if no value satisfies the schema, or if a `pattern` is too much work.
xgrammar::Grammar schema_grammar(const boost::json::value& schema);

// Returns the grammar of the texts that the automaton accepts.
xgrammar::Grammar automaton_grammar(const TextAutomaton& automaton);

}  // namespace solard
