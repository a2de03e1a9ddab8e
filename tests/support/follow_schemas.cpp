// Writes random answers that follow JSON Schemas, with the vocabulary of the demonstration model.
//
// Reads lines of JSON from stdin: {"schema": ..., "texts": [...]}. Writes a line for each of them:
// {"refused": "why"}, or {"answers": [...], "allowed": [...]}: answers that ended, and for each of the texts
// whether it is an allowed answer. Nothing limits the work, so the schemas must not be hostile.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <random>
#include <string>

#include "inference/grammar/compiler.hpp"
#include "inference/grammar/json_schema.hpp"
#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"
#include "tests/support/demo_tokenizer.hpp"

using namespace solard;
namespace json = boost::json;

namespace {

constexpr TokenId end_token = 2;
constexpr std::int32_t vocab_size = 2048;
constexpr int num_seeds = 3;
constexpr int answers_per_seed = 5;
constexpr int max_tokens = 400;

const GrammarVocabulary& vocabulary() {
    static const GrammarVocabulary made =
        grammar_vocabulary(demo_tokenizer(), vocab_size, std::vector<TokenId>{end_token});
    return made;
}

std::vector<std::uint32_t> mask_of(GrammarState& state) {
    std::vector<std::uint32_t> mask(mask_words(vocab_size));
    state.fill_mask(mask);
    return mask;
}

// Takes the text byte by byte, as far as the vocabulary has the bytes, and otherwise in its shortest tokens.
bool is_allowed_answer(const Grammar& grammar, std::string_view text) {
    const auto state = grammar.begin();
    while (!text.empty()) {
        const auto mask = mask_of(*state);
        TokenId shortest = -1;
        for (TokenId token = 0; token < vocab_size; ++token) {
            const std::string& bytes = vocabulary().texts[count_of(token)];
            if (!bytes.empty() && is_allowed(mask, token) && text.starts_with(bytes) &&
                (shortest < 0 || bytes.size() < vocabulary().texts[count_of(shortest)].size()))
                shortest = token;
        }
        if (shortest < 0 || !state->accept(shortest)) return false;
        text.remove_prefix(vocabulary().texts[count_of(shortest)].size());
    }
    return is_allowed(mask_of(*state), end_token);
}

// Appends a random answer, unless it becomes too long. Returns false at a dead end.
bool add_answer(const Grammar& grammar, std::mt19937_64& random, json::array& answers) {
    const auto state = grammar.begin();
    std::string text;
    for (int i = 0; i < max_tokens; ++i) {
        const auto mask = mask_of(*state);
        std::vector<TokenId> closing;
        std::vector<TokenId> all;
        for (TokenId token = 0; token < vocab_size; ++token) {
            if (!is_allowed(mask, token)) continue;
            all.push_back(token);
            const std::string& bytes = vocabulary().texts[count_of(token)];
            if (!bytes.empty() && std::string_view("\"]},").find(bytes.front()) != std::string_view::npos)
                closing.push_back(token);
        }
        if (all.empty()) return false;
        // An answer that never closes what it has opened would not end.
        const auto& choices = !closing.empty() && random() % 4 == 0 ? closing : all;
        TokenId token = choices[random() % choices.size()];
        if (is_allowed(mask, end_token) && random() % 3 == 0) token = end_token;
        if (!state->accept(token)) return false;
        if (token == end_token) {
            answers.emplace_back(text);
            return true;
        }
        text += vocabulary().texts[count_of(token)];
    }
    return true;
}

json::object follow(const json::object& order) {
    json::value schema = order.at("schema");
    if (auto problem = why_not_supported(schema)) return {{"refused", *problem}};
    const auto compiled = compile_grammar(
        {GrammarSource::Kind::json_schema, without_annotations(std::move(schema))}, vocabulary());
    if (!compiled) return {{"refused", compiled.error().message}};
    static const GrammarLoader loader(vocabulary(), demo_tokenizer());
    const auto grammar = loader.load(*compiled).value();
    json::array answers;
    for (int seed = 1; seed <= num_seeds; ++seed) {
        std::mt19937_64 random(count_of(seed));
        for (int i = 0; i < answers_per_seed; ++i)
            if (!add_answer(*grammar, random, answers)) return {{"dead_end", std::move(answers)}};
    }
    json::array allowed;
    for (const json::value& text : order.at("texts").as_array())
        allowed.push_back(is_allowed_answer(*grammar, text.as_string()));
    return {{"answers", std::move(answers)}, {"allowed", std::move(allowed)}};
}

}  // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);)
        std::cout << json::serialize(follow(json::parse(line).as_object())) << std::endl;
}
