// The fields that say which texts an answer may be: JSON, JSON that follows a schema, one of several texts,
// or those of an expression or a grammar.
#pragma once

#include <optional>
#include <string>

#include "inference/grammar/compiler.hpp"
#include "server/api/fields.hpp"
#include "server/api/peer_fields.hpp"

namespace solard::server {

struct AnswerGrammar {
    GrammarSource source;
    std::string field;   // by which the request asks for it; errors name it
    std::string format;  // the JSON of `text.format`, which a response shows; empty for other fields
};

// Reads response_format, structured_outputs, the older guided_json, guided_choice, guided_regex and
// guided_grammar, and llama.cpp's json_schema and grammar. At most one of them may restrict the answer. A
// problem is recorded in `fields`; if the program cannot compile grammars, this is one.
std::optional<AnswerGrammar> parse_grammar_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown);

// Reads `text.format` of the Responses API, given the object `text`. Its other members are not read.
std::optional<AnswerGrammar> parse_text_format(FieldReader& text, UnknownFields unknown);

}  // namespace solard::server
