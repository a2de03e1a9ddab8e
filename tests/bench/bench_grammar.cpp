// Measures how long it takes to compile a grammar, to load it, and to compute the mask of a row.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "inference/grammar/compiler.hpp"
#include "inference/model/tokenizer.hpp"
#include "inference/token_mask.hpp"

namespace {

using namespace solard;
using Kind = GrammarSource::Kind;

constexpr std::int32_t num_tokens = 32'000;
constexpr int num_walks = 20;
constexpr int num_steps = 200;

double microseconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

// The vocabulary of the demonstration model, enlarged by words that its pieces form, to SOLAR's 32,000
// tokens.
GrammarVocabulary large_vocabulary() {
    const auto tokenizer = Tokenizer::load(SOLARD_SOURCE_DIR "/config/demo-model", 1 << 20).value();
    GrammarVocabulary vocabulary =
        grammar_vocabulary(tokenizer, tokenizer.vocab_size(), std::vector<TokenId>{2});
    std::mt19937 random(1);
    while (vocabulary.texts.size() < num_tokens) {
        const std::string& left = vocabulary.texts[random() % vocabulary.texts.size()];
        const std::string& right = vocabulary.texts[random() % vocabulary.texts.size()];
        const bool is_word =
            !right.empty() && std::ranges::all_of(right, [](unsigned char c) { return std::isalpha(c); });
        if (!left.empty() && is_word && left.size() + right.size() < 20)
            vocabulary.texts.push_back(left + right);
    }
    return vocabulary;
}

void measure(const char* name, const GrammarSource& source, const GrammarVocabulary& vocabulary,
             const GrammarLoader& loader) {
    auto begin = std::chrono::steady_clock::now();
    const auto compiled = compile_grammar(source, vocabulary);
    const double compile_time = microseconds_since(begin);
    if (!compiled) {
        std::printf("%-12s refused: %s\n", name, compiled.error().message.c_str());
        return;
    }
    begin = std::chrono::steady_clock::now();
    const auto grammar = loader.load(*compiled).value();
    const double load_time = microseconds_since(begin);
    std::vector<double> masks;
    std::vector<double> accepts;
    std::vector<double> forced;
    std::vector<std::uint32_t> mask(mask_words(num_tokens));
    std::mt19937 random(2);
    for (int walk = 0; walk < num_walks; ++walk) {
        const auto state = grammar->begin();
        for (int step = 0; step < num_steps && !state->has_ended(); ++step) {
            begin = std::chrono::steady_clock::now();
            state->fill_mask(mask);
            masks.push_back(microseconds_since(begin));
            begin = std::chrono::steady_clock::now();
            state->forced_token();
            forced.push_back(microseconds_since(begin));
            TokenId token = static_cast<TokenId>(random() % num_tokens);
            for (int i = 0; i < num_tokens && !is_allowed(mask, token); ++i) token = (token + 1) % num_tokens;
            begin = std::chrono::steady_clock::now();
            state->accept(token);
            accepts.push_back(microseconds_since(begin));
        }
    }
    std::ranges::sort(masks);
    std::ranges::sort(accepts);
    std::ranges::sort(forced);
    std::printf(
        "%-12s compile %8.1f ms, %5.0f KiB, load %6.1f ms; mask median %6.1f us, 99%% %8.1f, most %8.1f; "
        "forced median %5.1f, most %8.1f; accept median %5.1f, most %8.1f us\n",
        name, compile_time / 1e3, static_cast<double>(compiled->size()) / 1024, load_time / 1e3,
        masks[masks.size() / 2], masks[masks.size() * 99 / 100], masks.back(), forced[forced.size() / 2],
        forced.back(), accepts[accepts.size() / 2], accepts.back());
}

}  // namespace

int main() {
    const GrammarVocabulary vocabulary = large_vocabulary();
    const auto tokenizer = Tokenizer::load(SOLARD_SOURCE_DIR "/config/demo-model", 1 << 20).value();
    const GrammarLoader loader(vocabulary, tokenizer);
    measure("json object", {Kind::json_object, ""}, vocabulary, loader);
    measure("schema",
            {Kind::json_schema,
             R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0},
                 "tags":{"type":"array","items":{"enum":["small","large"]}},"place":{"type":"object","properties":
                 {"city":{"type":"string"},"zip":{"type":"integer"}},"required":["city"]}},
                 "required":["name","age","tags","place"]})"},
            vocabulary, loader);
}
