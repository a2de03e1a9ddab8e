// Measures how long it takes to load a tokenizer with 128,000 tokens, and to encode a megabyte of text.
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>

#include "inference/model/tokenizer.hpp"
#include "tests/support/model_folder.hpp"

namespace {

namespace json = boost::json;
using namespace solard;

constexpr std::size_t text_bytes = 1'000'000;
constexpr std::size_t num_tokens = 128'000;
constexpr std::int32_t vocab_size = 1 << 20;

template <class Function>
double seconds(Function function) {
    const auto begin = std::chrono::steady_clock::now();
    function();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::filesystem::path family(std::string_view name) {
    return std::filesystem::path(SOLARD_SOURCE_DIR) / "tests/tokenizers/data" / name;
}

// Returns the tokenizer.json of a family with random merges of merges, until it has `num_tokens` tokens.
std::string enlarged(std::string_view name) {
    std::ifstream file(family(name) / "tokenizer.json");
    json::value value = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    auto& vocabulary = value.at("model").at("vocab").as_object();
    auto& merges = value.at("model").at("merges").as_array();
    std::vector<std::string> texts;
    for (const auto& [text, id] : vocabulary) {
        if (!text.starts_with('<')) texts.emplace_back(text);
    }
    std::mt19937 chance(1);
    std::int64_t id = 1000;
    while (vocabulary.size() < num_tokens) {
        const std::string left = texts[chance() % texts.size()];
        const std::string right = texts[chance() % texts.size()];
        if (left.size() + right.size() > 24 || !vocabulary.emplace(left + right, id).second) continue;
        ++id;
        merges.push_back(json::array{json::string(left), json::string(right)});
        texts.push_back(left + right);
    }
    return json::serialize(value);
}

std::string repeated(std::string_view text) {
    std::string all;
    while (all.size() < text_bytes) all += text;
    return all;
}

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

void measure(const char* name, const std::filesystem::path& folder) {
    std::optional<Tokenizer> tokenizer;
    const double load = seconds([&] { tokenizer = Tokenizer::load(folder, vocab_size).value(); });
    std::printf("%-24s %8.3f", name, load);
    const std::string ordinary = repeated(read(SOLARD_SOURCE_DIR "/README.md"));
    std::string digits;
    for (unsigned i = 0; digits.size() < text_bytes; ++i) digits += std::to_string(i * 2654435761U);
    for (const std::string& text :
         {ordinary, repeated(" "), repeated("a"), repeated("한국어 "), digits, repeated("<|im_start|>")}) {
        std::size_t count = 0;
        const double time = seconds([&] {
            count =
                tokenizer->encode(text, {.add_special_tokens = true, .parse_special = true}).value().size();
        });
        std::printf(" %8.3f (%7zu)", time, count);
    }
    std::printf("\n");
}

}  // namespace

int main() {
    std::printf("seconds to load, and to encode a megabyte (number of tokens)\n");
    std::printf("%-24s %8s %18s %18s %18s %18s %18s %18s\n", "tokenizer", "load", "README.md", "spaces", "a",
                "Korean", "digits", "special tokens");
    measure("demonstration model", SOLARD_SOURCE_DIR "/config/demo-model");
    for (const char* name : {"llama_prepend", "llama_always", "llama3", "smollm2", "deepseek"})
        measure(name, family(name));
    for (const char* name : {"llama_always", "llama3"}) {
        const ModelFolder folder;
        folder.write_text("tokenizer.json", enlarged(name));
        measure((std::string(name) + ", 128,000 tokens").c_str(), folder.path());
    }
}
