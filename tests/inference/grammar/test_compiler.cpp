// Tests compiled grammars with the vocabulary of the demonstration model.
#include <boost/test/unit_test.hpp>
#include <random>

#include "inference/grammar/compiler.hpp"
#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/demo_tokenizer.hpp"

using namespace solard;
using namespace std::string_literals;

namespace {

using Kind = GrammarSource::Kind;

constexpr TokenId end_token = 2;
constexpr std::int32_t vocab_size = 2048;

const GrammarVocabulary& vocabulary() {
    static const GrammarVocabulary made =
        grammar_vocabulary(demo_tokenizer(), vocab_size, std::vector<TokenId>{end_token});
    return made;
}

std::shared_ptr<const Grammar> compiled(Kind kind, const std::string& text) {
    static const GrammarLoader loader(vocabulary(), demo_tokenizer());
    const auto bytes = compile_grammar({kind, text}, vocabulary());
    require_accepted(bytes);
    auto loaded = loader.load(*bytes);
    require_accepted(loaded);
    return *std::move(loaded);
}

std::vector<std::uint32_t> mask_of(GrammarState& state) {
    std::vector<std::uint32_t> mask(mask_words(vocab_size));
    state.fill_mask(mask);
    return mask;
}

// Takes the text in the longest tokens that the grammar allows. Returns false if it does not allow the text.
bool take(GrammarState& state, std::string_view text) {
    while (!text.empty()) {
        const auto mask = mask_of(state);
        TokenId longest = -1;
        for (TokenId token = 0; token < vocab_size; ++token) {
            const std::string& bytes = vocabulary().texts[count_of(token)];
            if (!bytes.empty() && is_allowed(mask, token) && text.starts_with(bytes) &&
                (longest < 0 || bytes.size() > vocabulary().texts[count_of(longest)].size()))
                longest = token;
        }
        if (longest < 0) return false;
        if (!state.accept(longest)) return false;
        text.remove_prefix(vocabulary().texts[count_of(longest)].size());
    }
    return true;
}

bool may_end(GrammarState& state) {
    return is_allowed(mask_of(state), end_token);
}

void check_text(const Grammar& grammar, std::string_view text, bool is_whole) {
    const auto state = grammar.begin();
    BOOST_TEST(take(*state, text), text << " is not allowed");
    BOOST_TEST(may_end(*state) == is_whole, text << (is_whole ? " may not end" : " may end"));
}

void check_not_allowed(const Grammar& grammar, std::string_view text) {
    BOOST_TEST(!take(*grammar.begin(), text), text << " is allowed");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(grammar_compiler,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(any_json_object_is_allowed_and_nothing_else) {
    const auto grammar = compiled(Kind::json_object, "");
    check_text(*grammar, R"({"a": [1, 2.5e3, null, true, "\u00e9\n"], "b": {}})", true);
    check_text(*grammar, R"({})", true);
    check_text(*grammar, R"({"한국": "말")", false);
    for (const char* text : {"[1]", "\"a\"", " {}", "{a", "{\"a\": 01", "{} "})
        check_not_allowed(*grammar, text);
    BOOST_TEST(grammar->vocab_size() == vocab_size);
    BOOST_TEST(grammar->num_bytes() > 1000U);
}

BOOST_AUTO_TEST_CASE(schema_is_followed) {
    const auto grammar = compiled(Kind::json_schema, R"({"type":"object","additionalProperties":false,
        "properties":{"name":{"enum":["Ann","Bob"]},"age":{"type":"integer","minimum":0,"maximum":120},
                      "level":{"enum":["low","high"]}},"required":["name","age"]})");
    check_text(*grammar, R"({"name": "Ann", "age": 120})", true);
    check_text(*grammar, R"({"name": "Ann", "age": 7, "level": "high"})", true);
    check_text(*grammar, R"({"name": "Ann")", false);
    for (const char* text :
         {R"({"name": "Annika)", R"({"name": "Ann", "age": 121)", R"({"age")", R"({"name": "Ann"})",
          R"({"name": "Ann", "age": 7, "level": "mid)", R"({"name": "Ann", "age": 7, "more")"})
        check_not_allowed(*grammar, text);
}

BOOST_AUTO_TEST_CASE(structural_tag_begins_at_its_trigger_and_has_the_white_space_of_other_schemas) {
    const auto grammar = compiled(Kind::structural_tag, R"({"type":"structural_tag","format":{
        "type":"triggered_tags","triggers":["<call>"],"stop_after_first":true,"tags":[{"type":"tag",
        "begin":"<call>f ","end":"</call>","content":{"type":"json_schema","json_schema":{"type":"object",
        "properties":{"a":{"type":"integer"},"b":{"enum":["x","\n"]}},"required":["a","b"],
        "additionalProperties":false}}}]}})");
    check_text(*grammar, "Any <text> at all", true);
    check_text(*grammar, "", true);
    check_text(*grammar, R"(So: <call>f {"a": 1, "b": "x"}</call>)", true);
    check_text(*grammar, R"(<call>f {"a": 1, "b": "\n")", false);
    for (const char* text : {"<call>g", "<call> f", R"(<call>f {"b")", R"(<call>f {"a":1)",
                             R"(<call>f { "a")", R"(<call>f {"a": 1, "b": "x"}</call>.)"})
        check_not_allowed(*grammar, text);
}

// The tags of `count` tools with six properties each.
std::string many_tags(int count) {
    std::string tags;
    for (int i = 0; i < count; ++i) {
        const std::string name = "tool_" + std::to_string(i);
        std::string properties;
        std::string required;
        for (const std::string suffix : {"path", "size", "kind", "text", "list", "flag"}) {
            const std::string property = "\"" + suffix + "_" + std::to_string(i) + "\"";
            properties += (properties.empty() ? "" : ",") + property +
                          (suffix == "list" ? R"(:{"type":"array","items":{"type":"integer"}})"
                                            : R"(:{"type":"string"})");
            required += (required.empty() ? "" : ",") + property;
        }
        tags +=
            (i > 0 ? "," : "") +
            (R"({"type":"tag","begin":"<call>)" + name + R"( ","end":"</call>","content":)") +
            R"({"type":"json_schema","json_schema":{"type":"object","additionalProperties":false,"properties":{)" +
            properties + R"(},"required":[)" + required + "]}}}";
    }
    return R"({"type":"structural_tag","format":{"type":"triggered_tags","triggers":["<call>"],"tags":[)" +
           tags + "]}}";
}

BOOST_AUTO_TEST_CASE(size_of_a_grammar_grows_with_its_tools_and_not_with_their_square) {
    const auto bytes_of = [](int count) {
        const auto bytes = compile_grammar({Kind::structural_tag, many_tags(count)}, vocabulary());
        require_accepted(bytes);
        return *bytes;
    };
    const std::string few = bytes_of(16);
    const std::string many = bytes_of(128);
    BOOST_TEST(many.size() < 10 * few.size(), few.size() << " and " << many.size() << " bytes");
    const GrammarLoader loader(vocabulary(), demo_tokenizer());
    const auto grammar = loader.load(many).value();
    check_text(*grammar,
               R"(So <call>tool_127 {"path_127": "a", "size_127": "", "kind_127": "b", "text_127": "c", )"
               R"("list_127": [1, 2], "flag_127": "d"}</call>)",
               true);
    check_not_allowed(*grammar, R"(<call>tool_127 {"path_126")");
    for (const std::string& damaged : {std::string(), many.substr(0, many.size() / 2), many.substr(10),
                                       "[]" + many.substr(many.find('\n')), "null\n{}"s})
        check_refused(loader.load(damaged), {""}, errc::backend_failed);
}

BOOST_AUTO_TEST_CASE(certain_text_is_forced_in_the_tokens_of_its_encoding) {
    const auto grammar = compiled(Kind::json_schema, R"({"type":"object","additionalProperties":false,
        "properties":{"capital_of":{"const":"France is Paris"},"size":{"type":"string"}},
        "required":["capital_of","size"]})");
    const std::string certain = R"({"capital_of": "France is Paris", "size": ")";
    const auto state = grammar->begin();
    const auto force = [&] {
        std::vector<TokenId> tokens;
        while (const auto token = state->forced_token()) {
            BOOST_TEST(is_allowed(mask_of(*state), *token));
            BOOST_REQUIRE(state->accept(*token));
            tokens.push_back(*token);
        }
        return tokens;
    };
    const auto tokens = force();
    std::string text;
    for (const TokenId token : tokens) text += vocabulary().texts[count_of(token)];
    BOOST_TEST(certain.starts_with(text));
    BOOST_TEST(text.size() + 4 >= certain.size(), text);
    auto expected = demo_tokenizer().encode_continuation(certain);
    expected.pop_back();
    BOOST_TEST(tokens == expected, boost::test_tools::per_element());
    // Wherever the answer is taken back, it goes on in the same way.
    for (std::size_t back = 1; back <= tokens.size(); ++back) {
        state->roll_back(static_cast<std::int32_t>(back));
        BOOST_TEST(
            force() == std::vector<TokenId>(tokens.end() - static_cast<std::ptrdiff_t>(back), tokens.end()),
            boost::test_tools::per_element());
    }
    // Within a text that may be anything, nothing is certain.
    BOOST_REQUIRE(take(*state, certain.substr(text.size()) + "ab"));
    BOOST_TEST(!state->forced_token().has_value());
}

BOOST_AUTO_TEST_CASE(lists_in_lists_have_their_depth_and_length) {
    for (const std::string most : {"2", "3", "100", "10000"}) {
        const auto grammar = compiled(
            Kind::json_schema,
            R"({"type":"array","items":{"type":"array","items":{"type":"array","items":{"type":"integer"},
                "maxItems":)" +
                most + R"(},"maxItems":)" + most + R"(},"maxItems":)" + most + "}");
        BOOST_TEST_CONTEXT(most) {
            check_text(*grammar, "[[[1, 2], []], []]", true);
            check_not_allowed(*grammar, "[[1");
            check_not_allowed(*grammar, "[1");
            if (most == "2") check_not_allowed(*grammar, "[[[1, 2, 3");
            if (most == "2") check_not_allowed(*grammar, "[[], [], [");
        }
    }
}

BOOST_AUTO_TEST_CASE(schema_that_no_value_satisfies_is_refused) {
    const auto bytes = compile_grammar(
        {Kind::json_schema,
         R"({"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"})"},
        vocabulary());
    BOOST_REQUIRE(bytes.has_error());
    BOOST_TEST(bytes.error().message == "it allows no text at all");
}

BOOST_AUTO_TEST_CASE(gbnf_grammar_is_followed) {
    const auto grammar =
        compiled(Kind::gbnf, "root ::= greeting \" \" [A-Z] [a-z]*\ngreeting ::= \"Hello\" | \"Hi\"");
    check_text(*grammar, "Hi Bob", true);
    check_not_allowed(*grammar, "Hey");
}

BOOST_AUTO_TEST_CASE(lark_grammar_is_followed) {
    const auto grammar = compiled(Kind::lark, "start: \"+\" /(.*)/ LF\n%import common.LF");
    check_text(*grammar, "+ a line\n", true);
    check_text(*grammar, "+ a line", false);
    check_not_allowed(*grammar, "- a");
}

BOOST_AUTO_TEST_CASE(regular_expression_describes_the_whole_answer) {
    const auto grammar = compiled(Kind::regex, "[A-Z][a-z]+(, \"[^\"\\n]*\")?|\\d{3}");
    check_text(*grammar, "Ann", true);
    check_text(*grammar, "Ann, \"값\\\"", true);
    check_text(*grammar, "123", true);
    check_text(*grammar, "12", false);
    for (const char* text : {"ann", " Ann", "1234", "Ann, \"\n", "A1"}) check_not_allowed(*grammar, text);
}

BOOST_AUTO_TEST_CASE(strings_follow_their_pattern_as_json) {
    const auto grammar = compiled(Kind::json_schema, R"({"type":"object","properties":{
        "a":{"type":"string","pattern":"^[\"\\\\\\n\\x01b]+$","maxLength":4}},"required":["a"]})");
    check_text(*grammar, R"({"a": "b\"\\\n"})", true);
    check_text(*grammar, R"({"a": "\u0001"})", true);
    for (const char* text :
         {R"({"a": ""})", R"({"a": "bbbbb)", "{\"a\": \"\n", R"({"a": "\t)", R"({"a": "c)"})
        check_not_allowed(*grammar, text);
}

BOOST_AUTO_TEST_CASE(strings_have_their_length_in_characters) {
    const auto bounded = compiled(Kind::json_schema, R"({"type":"string","minLength":2,"maxLength":3})");
    for (const char* text : {R"("ab")", R"("한국말")"}) check_text(*bounded, text, true);
    for (const char* text : {R"("a")", R"("abcd)", "\"a\t", "\"\x01", R"("a\n)"})
        check_not_allowed(*bounded, text);
    const auto at_least = compiled(Kind::json_schema, R"({"type":"string","minLength":2})");
    for (const char* text : {R"("ab")", R"("a\n")", R"("ab\u00e9 and more")"})
        check_text(*at_least, text, true);
    for (const char* text : {R"("a")", R"("\u00e9)"}) check_not_allowed(*at_least, text);
    const auto longer = compiled(Kind::json_schema, R"({"type":"string","minLength":300,"maxLength":301})");
    check_text(*longer, '"' + std::string(301, 'x') + '"', true);
    check_not_allowed(*longer, '"' + std::string(299, 'x') + '"');
    check_not_allowed(*longer, '"' + std::string(302, 'x'));
}

BOOST_AUTO_TEST_CASE(numbers_stay_in_their_range) {
    const auto grammar =
        compiled(Kind::json_schema, R"({"type":"number","minimum":0,"exclusiveMaximum":1.5})");
    for (const char* text : {"0", "0.25", "1", "1.49"}) check_text(*grammar, text, true);
    for (const char* text : {"-0.1", "1.5", "2", "1e3"}) check_not_allowed(*grammar, text);
    const auto whole =
        compiled(Kind::json_schema, R"({"type":"integer","minimum":1.5,"exclusiveMaximum":4})");
    for (const char* text : {"2", "3"}) check_text(*whole, text, true);
    for (const char* text : {"1,", "4", "0"}) check_not_allowed(*whole, text);
}

BOOST_AUTO_TEST_CASE(objects_have_what_the_schema_leaves_open) {
    const auto list = compiled(Kind::json_schema, R"({"type":"array","maxItems":2})");
    check_text(*list, R"([1, {"a": null}])", true);
    const auto others = compiled(
        Kind::json_schema, R"({"type":"object","properties":{},"additionalProperties":{"type":"null"}})");
    check_text(*others, R"({"any": null})", true);
    check_not_allowed(*others, R"({"any": 1)");
    const auto none = compiled(Kind::json_schema, R"({"type":"object","properties":{}})");
    check_text(*none, "{}", true);
    check_not_allowed(*none, R"({"a)");
    const auto required =
        compiled(Kind::json_schema, R"({"properties":{"a":{"type":"null"}},"required":["b"]})");
    check_text(*required, R"({"a": null, "b": [2]})", true);
    check_text(*required, R"({"b": 1})", true);
    check_not_allowed(*required, R"({"a": null})");
    const auto branches =
        compiled(Kind::json_schema, R"({"type":["string","integer"],"maxLength":1,"minimum":5})");
    for (const char* text : {R"("a")", "5"}) check_text(*branches, text, true);
    for (const char* text : {R"("ab)", "-1"}) check_not_allowed(*branches, text);
}

// No text that ends satisfies these, and the certain text has no end, or nearly none.
BOOST_AUTO_TEST_CASE(certain_text_without_end_is_found_piece_by_piece) {
    for (const auto& [kind, source] :
         {std::pair(Kind::json_schema,
                    R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
          {Kind::gbnf, "root ::= ((\"a\"{9000}){9000}){9000}"}}) {
        const auto state = compiled(kind, source)->begin();
        int num_forced = 0;
        while (num_forced < 300) {
            const auto token = state->forced_token();
            BOOST_REQUIRE(token || take(*state, source[0] == '{' ? "{" : "a"));
            if (!token) continue;
            BOOST_REQUIRE(state->accept(*token));
            ++num_forced;
        }
    }
}

// The grammar is fast wherever the random ways of the compiler lead, and slow after an "a".
BOOST_AUTO_TEST_CASE(grammar_that_becomes_slow_ends_the_answer) {
    const auto grammar = compiled(Kind::gbnf,
                                  "root ::= [^a] [^\\n]* | \"a\" slow\n"
                                  "slow ::= \"\" | \"a\" slow slow slow | slow2\nslow2 ::= \"a\" slow");
    for (const bool asks_for_certain_text : {false, true}) {
        const auto state = grammar->begin();
        int num_tokens = 0;
        const auto go_on = [&] {
            for (; num_tokens < 20'000; ++num_tokens) {
                if (asks_for_certain_text) state->forced_token();
                if (!take(*state, "a")) break;
            }
        };
        BOOST_CHECK_EXCEPTION(go_on(), std::runtime_error, [](const auto& problem) {
            return std::string(problem.what()).find("too long") != std::string::npos;
        });
        BOOST_TEST(num_tokens < 20'000);
        // It stays so, whoever asks, and whatever is taken back.
        state->roll_back(num_tokens > 0 ? 1 : 0);
        BOOST_CHECK_THROW(state->forced_token(), std::runtime_error);
        BOOST_CHECK_THROW(mask_of(*state), std::runtime_error);
    }
}

BOOST_AUTO_TEST_CASE(accepted_tokens_can_be_taken_back) {
    const auto grammar = compiled(Kind::json_object, "");
    const auto state = grammar->begin();
    std::mt19937 random(5);
    std::vector<std::vector<std::uint32_t>> masks;
    for (int step = 0; step < 60; ++step) {
        const auto mask = mask_of(*state);
        std::vector<TokenId> allowed;
        for (TokenId token = 0; token < vocab_size; ++token)
            if (is_allowed(mask, token) && token != end_token) allowed.push_back(token);
        if (allowed.empty()) break;
        masks.push_back(mask);
        BOOST_REQUIRE(state->accept(allowed[random() % allowed.size()]));
    }
    BOOST_TEST(masks.size() > 10U);
    while (!masks.empty()) {
        const auto back = static_cast<std::int32_t>(1 + random() % std::min<std::size_t>(4, masks.size()));
        state->roll_back(back);
        masks.resize(masks.size() - count_of(back) + 1);
        BOOST_TEST((mask_of(*state) == masks.back()));
        masks.pop_back();
    }
}

BOOST_AUTO_TEST_CASE(token_that_is_not_allowed_changes_nothing) {
    const auto state = compiled(Kind::gbnf, "root ::= \"ab\"")->begin();
    const auto before = mask_of(*state);
    BOOST_TEST(!state->accept(end_token));
    BOOST_TEST(!state->accept(300));
    BOOST_TEST((mask_of(*state) == before));
    BOOST_TEST(take(*state, "ab"));
    BOOST_TEST(!state->has_ended());
    BOOST_TEST(state->accept(end_token));
    BOOST_TEST(state->has_ended());
    state->roll_back(1);
    BOOST_TEST(!state->has_ended());
    BOOST_TEST(may_end(*state));
}

BOOST_AUTO_TEST_CASE(special_tokens_are_never_allowed) {
    const auto state = compiled(Kind::gbnf, "root ::= [^\\x01]*")->begin();
    const auto mask = mask_of(*state);
    BOOST_TEST(!is_allowed(mask, 0));
    BOOST_TEST(!is_allowed(mask, 1));
    BOOST_TEST(is_allowed(mask, end_token));
}

BOOST_AUTO_TEST_CASE(wrong_grammars_are_refused) {
    for (const auto& [kind, text] :
         {std::pair(Kind::gbnf, "root ::= (\"a\""),
          {Kind::gbnf, "start ::= \"a\""},
          {Kind::gbnf, "root ::= missing"},
          {Kind::lark, "start: missing"},
          {Kind::regex, "(a"},
          {Kind::regex, "[^\\s\\S]"},
          {Kind::regex, "a{1001}"},
          {Kind::json_schema, R"({"type":"string","pattern":"^a$","minLength":2})"},
          {Kind::json_schema, "{"},
          {Kind::json_schema, R"({"$ref":"#/$defs/missing"})"}}) {
        const auto bytes = compile_grammar({kind, text}, vocabulary());
        BOOST_TEST(bytes.has_error(), text << " is accepted");
        if (bytes.has_error()) BOOST_TEST(!bytes.error().message.empty());
    }
}

BOOST_AUTO_TEST_CASE(what_another_vocabulary_compiled_is_not_loaded) {
    GrammarVocabulary other = vocabulary();
    other.texts.resize(1000);
    const auto bytes = compile_grammar({Kind::gbnf, "root ::= [a]*"}, other);
    require_accepted(bytes);
    const GrammarLoader loader(vocabulary(), demo_tokenizer());
    BOOST_TEST(loader.load(*bytes).has_error());
    BOOST_TEST(loader.load("{}").has_error());
    BOOST_TEST(loader.load("").has_error());
}

BOOST_AUTO_TEST_CASE(packed_vocabulary_is_the_same_vocabulary) {
    const std::string bytes = packed(vocabulary());
    const auto again = unpacked(bytes);
    require_accepted(again);
    BOOST_TEST(again->texts == vocabulary().texts, boost::test_tools::per_element());
    BOOST_TEST(again->end_tokens == vocabulary().end_tokens, boost::test_tools::per_element());
    for (const auto& damaged : {std::string(), bytes.substr(0, bytes.size() - 1), bytes + "x"})
        BOOST_TEST(unpacked(damaged).has_error());
}

BOOST_AUTO_TEST_SUITE_END()
