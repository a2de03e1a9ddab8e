// What takes the place of compiler.cpp in a program without XGrammar.
#include "inference/grammar/compiler.hpp"

namespace solard {

bool can_compile_grammars() {
    return false;
}

result<std::string> compile_grammar(const GrammarSource&, const GrammarVocabulary&) {
    return Error{errc::invalid_request, "this program was built without grammars"};
}

struct GrammarLoader::Impl {};

GrammarLoader::GrammarLoader(const GrammarVocabulary&, const Tokenizer&) {}

GrammarLoader::~GrammarLoader() = default;

result<std::shared_ptr<const Grammar>> GrammarLoader::load(const std::string&) const {
    return Error{errc::backend_failed, "this program was built without grammars"};
}

}  // namespace solard
