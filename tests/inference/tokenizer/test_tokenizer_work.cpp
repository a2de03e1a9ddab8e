// How much work the tokenizer does for hostile texts, and the patterns that it runs.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "inference/tokenizer/bpe.hpp"
#include "inference/tokenizer/split_pattern.hpp"
#include "tests/support/check_refused.hpp"

namespace solard {
namespace {

namespace json = boost::json;

Bpe read_model(std::string_view family, BpeAlphabet alphabet) {
    std::ifstream file(std::string(SOLARD_SOURCE_DIR "/tests/tokenizers/data/") + std::string(family) +
                       "/tokenizer.json");
    const json::value text = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    JsonProblem problem;
    Bpe bpe = Bpe::read(ObjectReader(text.at("model").as_object(), "model", problem), alphabet, 1000);
    BOOST_REQUIRE_MESSAGE(problem.empty(), problem.clause());
    return bpe;
}

std::string repeated(std::string_view text, std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) all += text;
    return all;
}

std::vector<std::string> split(std::string_view pattern, std::string_view text) {
    const auto compiled = SplitPattern::regular_expression(pattern);
    require_accepted(compiled);
    MatchMemory memory;
    std::vector<std::string_view> pieces;
    require_accepted(compiled->split(text, memory, pieces));
    return {pieces.begin(), pieces.end()};
}

using Words = std::vector<std::string>;

BOOST_AUTO_TEST_SUITE(tokenizer_work)

// Each merge makes one symbol of two, and looks at no more than two new pairs and at the entry of its own.
BOOST_AUTO_TEST_CASE(merging_a_long_word_takes_a_linear_number_of_steps) {
    constexpr std::size_t size = 1'000'000;
    for (const auto& [family, alphabet] :
         {std::pair("llama_always", BpeAlphabet::characters), std::pair("llama3", BpeAlphabet::bytes)}) {
        const Bpe bpe = read_model(family, alphabet);
        for (const std::string& word :
             {repeated("a", size), repeated("\u2581", size), repeated(" ", size),
              repeated("the quick brown fox ", size), repeated("안녕하세요", size)}) {
            BpeMemory memory;
            std::vector<TokenId> ids;
            bpe.encode(word, memory, ids);
            BOOST_TEST(!ids.empty());
            BOOST_TEST(memory.num_candidates < 5 * word.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(split_returns_matches_and_the_text_between_them) {
    BOOST_TEST(split("b+", "abbcb") == (Words{"a", "bb", "c", "b"}));
    BOOST_TEST(split("x", "abc") == Words{"abc"});
    BOOST_TEST(split("x", "").empty());
    // An empty match ends a word, and the search goes on with the next character.
    BOOST_TEST(split("b*", "aéb") == (Words{"a", "é", "b"}));
    BOOST_TEST(split("$", "a\nb") == (Words{"a", "\nb"}));
    BOOST_TEST(split(R"(\d+)", "a1٣b") == (Words{"a", "1٣", "b"}));
    BOOST_TEST(split(R"(\p{N}{1,3})", "1234") == (Words{"123", "4"}));
    BOOST_TEST(split(R"((?i:'s))", "a'S'\u017F") == (Words{"a", "'S", "'\u017F"}));
}

BOOST_AUTO_TEST_CASE(literal_matches_only_itself) {
    MatchMemory memory;
    std::vector<std::string_view> pieces;
    require_accepted(SplitPattern::literal("a.c").split("abca.c", memory, pieces));
    BOOST_TEST((pieces == std::vector<std::string_view>{"abc", "a.c"}));
}

// The library tokenizers runs patterns with Oniguruma, for which U+180E is no white space.
BOOST_AUTO_TEST_CASE(white_space_is_that_of_unicode) {
    for (const auto* space :
         {"\t", "\r", " ", "\u0085", "\u00A0", "\u1680", "\u2003", "\u2028", "\u202F", "\u205F", "\u3000"}) {
        BOOST_TEST(split(R"(\s)", std::string("a") + space).size() == 2U);
        BOOST_TEST(split(R"([\s])", std::string("a") + space).size() == 2U);
        BOOST_TEST(split(R"(\S)", space).size() == 1U);
    }
    for (const auto* other : {"\u180E", "\u200B", "\uFEFF", "\x1C"}) {
        BOOST_TEST(split(R"(\s+)", std::string("a") + other).size() == 1U);
        BOOST_TEST(split(R"([^\s]+)", std::string("a") + other + " ").size() == 2U);
    }
}

BOOST_AUTO_TEST_CASE(patterns_with_another_meaning_in_pcre2_are_refused) {
    for (const auto* pattern :
         {R"(\w)", R"(\b)", R"(\h)", R"(\R)", R"([\p{L}&&[^a]])", "[[:alpha:]]", "[a[b]]", "a{1,3}+",
          "(?m:a)", "(?<name>a)", "(?R)", "(*ACCEPT)", R"(\1)", R"(\K)", R"([\S])"}) {
        const auto compiled = SplitPattern::regular_expression(pattern);
        check_refused(compiled, {"not supported"});
    }
    for (const auto* pattern : {"(", "[a", R"(\p{)", R"(\p{Nonsense})", "*", R"(\)"})
        check_refused(SplitPattern::regular_expression(pattern), {"not a valid regular expression"});
    for (const auto* pattern :
         {"[]a]", "[^]a]", R"([\]\[])", R"(\p{L}+)", R"(\x{41}+)", "(?:a|b)", "(?<=a)b", "a++"})
        require_accepted(SplitPattern::regular_expression(pattern));
}

BOOST_AUTO_TEST_CASE(pattern_that_backtracks_too_much_ends_in_an_error) {
    const auto pattern = SplitPattern::regular_expression("(?:a|aa)+[bc]");
    require_accepted(pattern);
    MatchMemory memory;
    std::vector<std::string_view> pieces;
    require_accepted(pattern->split("aaab", memory, pieces));
    check_refused(pattern->split(std::string(1000, 'a'), memory, pieces), {"(?:a|aa)+[bc]", "more steps"},
                  errc::invalid_request);
    // The memory can be used again.
    pieces.clear();
    require_accepted(pattern->split("aab", memory, pieces));
    BOOST_TEST(pieces.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
