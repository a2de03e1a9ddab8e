// The vocabulary of a model, as a grammar sees it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/model/tokenizer.hpp"
#include "inference/token_id.hpp"

namespace solard {

struct GrammarVocabulary {
    // [vocab_size], what each token adds to a text that has already begun. Tokens without a text, such as
    // special tokens, are allowed by no grammar.
    std::vector<std::string> texts;
    std::vector<TokenId> end_tokens;  // the end-of-sequence tokens: they end a whole answer
};

// Returns the vocabulary of a model with these end-of-sequence tokens. If `shown` is the text of a special
// token, this token has its text in the vocabulary.
GrammarVocabulary grammar_vocabulary(const Tokenizer& tokenizer, std::int32_t vocab_size,
                                     std::span<const TokenId> end_tokens, std::string_view shown = {});

// The vocabulary as bytes, for another process of the same program.
std::string packed(const GrammarVocabulary& vocabulary);
// Errors: bad_model if the bytes are not those of packed().
result<GrammarVocabulary> unpacked(std::string_view bytes);

}  // namespace solard
