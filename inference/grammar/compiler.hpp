// Compiles grammars with XGrammar (https://github.com/mlc-ai/xgrammar).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "inference/error.hpp"
#include "inference/grammar/grammar.hpp"
#include "inference/grammar/vocabulary.hpp"

namespace solard {

// What a client asks of the answer's text.
struct GrammarSource {
    enum class Kind : std::uint8_t {
        json_object,  // any JSON object; `text` is empty
        json_schema,  // `text` is a JSON Schema
        regex,        // the whole answer matches this expression, see parse_regex()
        gbnf,         // a grammar in the notation of llama.cpp, with a rule named root
        lark,         // a grammar in the notation of Lark, with a rule named start
        // A structural tag of XGrammar: text with parts that follow grammars of their own. Only the server
        // writes such tags. Schemas in it are followed with the same white space as those of json_schema.
        structural_tag,
    };
    Kind kind = Kind::json_object;
    std::string text;
    bool operator==(const GrammarSource&) const = default;
};

// Returns false if the program was built without XGrammar. Then compile_grammar() fails always.
bool can_compile_grammars();

// Compiles a grammar, and returns it in a form that GrammarLoader reads. The time and the memory that this
// takes are not bounded, and a hostile source can make both very large: call this only in a process that can
// be killed. Errors: invalid_request if the source is wrong or cannot be followed exactly.
result<std::string> compile_grammar(const GrammarSource& source, const GrammarVocabulary& vocabulary);

// Reads compiled grammars. Any thread may use it.
class GrammarLoader {
  public:
    // `tokenizer` must outlive the loader and its grammars.
    GrammarLoader(const GrammarVocabulary& vocabulary, const Tokenizer& tokenizer);
    ~GrammarLoader();
    GrammarLoader(const GrammarLoader&) = delete;
    GrammarLoader& operator=(const GrammarLoader&) = delete;

    // `compiled` was made by compile_grammar() of the same version of the program, with the same vocabulary.
    // Errors: backend_failed if it was not.
    result<std::shared_ptr<const Grammar>> load(const std::string& compiled) const;

  private:
    struct Impl;
    std::unique_ptr<const Impl> impl_;
};

}  // namespace solard
