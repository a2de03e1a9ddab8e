// Tests regular expressions together with their automata.
#include <boost/test/unit_test.hpp>
#include <set>

#include "inference/grammar/text_automaton.hpp"
#include "inference/text/utf8.hpp"

using namespace solard;

namespace {

TextAutomaton automaton_of(std::string_view regex, RegexScope scope, TextLength length = {}) {
    const auto parsed = parse_regex(regex, scope);
    BOOST_REQUIRE_MESSAGE(parsed.has_value(), regex << ": " << parsed.error().message);
    auto automaton = make_automaton(*parsed, length);
    BOOST_REQUIRE_MESSAGE(automaton.has_value(), regex << ": " << automaton.error().message);
    return *std::move(automaton);
}

bool accepts(const TextAutomaton& automaton, std::string_view text) {
    std::size_t state = 0;
    while (!text.empty()) {
        const char32_t c = take_character(text);
        const auto& transitions = automaton.states[state].transitions;
        const auto found = std::ranges::find_if(transitions, [&](const auto& transition) {
            return std::ranges::any_of(transition.characters, [&](const CharacterRange& range) {
                return range.first <= c && c <= range.last;
            });
        });
        if (found == transitions.end()) return false;
        state = found->target;
    }
    return automaton.states[state].accepts;
}

void check(std::string_view regex, std::vector<std::string_view> matching,
           std::vector<std::string_view> other, RegexScope scope = RegexScope::whole_text) {
    const auto automaton = automaton_of(regex, scope);
    for (const auto text : matching)
        BOOST_TEST(accepts(automaton, text), regex << " does not match " << text);
    for (const auto text : other) BOOST_TEST(!accepts(automaton, text), regex << " matches " << text);
}

void check_refused(std::string_view regex, std::string_view problem) {
    const auto parsed = parse_regex(regex, RegexScope::whole_text);
    BOOST_TEST(!parsed.has_value(), regex << " is accepted");
    if (!parsed) BOOST_TEST(parsed.error().message == problem, regex << ": " << parsed.error().message);
}

std::string problem_of(std::string_view regex, TextLength length = {}) {
    const auto parsed = parse_regex(regex, RegexScope::whole_text);
    BOOST_REQUIRE(parsed.has_value());
    const auto automaton = make_automaton(*parsed, length);
    return automaton ? "" : automaton.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(regular_expressions)

BOOST_AUTO_TEST_CASE(notation_of_ecmascript_is_read) {
    check("a|bc|", {"a", "bc", ""}, {"b", "abc", "ab"});
    check("(a|(?:b|c))d(?<name>e)(?P<other>f)", {"adef", "cdef"}, {"def", "abdef"});
    check("a*b+c?", {"b", "aabbc"}, {"", "a", "bcc"});
    check("a*?b+?c??", {"b", "aabbc"}, {"bcc"});
    check("[^\\s]|\\S", {"a", "한"}, {" ", "\u2003", "\xEF\xBB\xBF", "\u0085", "\x1c"});  // a space for some
    check("\\s", {" ", "\u2003"}, {"\xEF\xBB\xBF", "\u0085", "\x1c", "a"});               // for all
    check("x{2}y{1,}z{0,2}", {"xxy", "xxyyyzz"}, {"xy", "xx", "xxyzzz"});
    check("a{,2}{b}", {"a{,2}{b}"}, {"aa{b}"});  // no repetitions
    check("[a-c\\-.]+", {"a-.c"}, {"d", ""});
    check("[^a-c]", {"d", "é", "한", "\n", "😀"}, {"a", "", "dd"});
    check("[-a]|[a-]|[\\]]", {"-", "a", "]"}, {"b"});
    check(".", {"a", "\t", "😀"}, {"\n", "\r", "\u2028", ""});
    check("\\d\\w\\s", {"1a ", "0_\t", "9Z\u00a0"}, {"aa ", "1é ", "1a."});
    check("\\D\\W\\S", {"a.b", "éé한"}, {"1.b", "aab", "a. "});
    check("[\\d\\s]+", {"1 2"}, {"a"});
    check("[^\\D]", {"1"}, {"a"});
    check("\\x41\\u00e9\\u{1F600}\\n\\t\\0\\.\\/\\-", {std::string_view("Aé😀\n\t\0./-", 13)}, {"A"});
    check("[\\b]", {"\b"}, {"b"});
    check("값+", {"값", "값값"}, {"각"});
    check("", {""}, {"a"});
    check("()", {""}, {"a"});
    check("(a*)*b", {"b", "aab"}, {"a"});
    check("(a|ab)(c|bcd)", {"ac", "abc", "abcd", "abbcd"}, {"a", "abb"});
}

BOOST_AUTO_TEST_CASE(anchors_count_at_the_ends_of_the_outermost_alternatives) {
    constexpr auto part = RegexScope::part_of_text;
    check("b", {"b", "abc", "aab"}, {"", "ac"}, part);
    check("^b", {"b", "bc"}, {"ab"}, part);
    check("b$", {"b", "ab"}, {"bc"}, part);
    check("^b$", {"b"}, {"ab", "bc", ""}, part);
    check("^a|b$", {"ax", "xb", "a"}, {"xax", "xbx"}, part);
    check("", {"", "anything\n"}, {}, part);
    check("^$", {""}, {"a"}, part);
    check("^a|b$", {"a", "b"}, {"ax", "xb"});
    check("a\\$", {"a$"}, {"a"});
}

BOOST_AUTO_TEST_CASE(what_is_not_supported_is_refused_with_its_place) {
    check_refused("a(?=b)", "a lookahead at character 2 is not supported");
    check_refused("(?!b)", "a lookahead at character 1 is not supported");
    check_refused("(?<=b)", "a lookbehind at character 1 is not supported");
    check_refused("(?<!b)", "a lookbehind at character 1 is not supported");
    check_refused("(?i)b", "a flag at character 2 is not supported");
    check_refused("(a)\\1", "\\1 at character 5 is not supported");
    check_refused("\\bfoo", "\\b at character 2 is not supported");
    check_refused("\\p{L}", "\\p at character 2 is not supported");
    check_refused("한\\k<a>", "\\k at character 3 is not supported");
    check_refused("(^a)", "the anchor at character 2 is not supported");
    check_refused("a$b", "the anchor at character 2 is not supported");
    check_refused("a**", "a second repetition at character 3 is not supported");
    check_refused("a{2}{3}", "a second repetition at character 5 is not supported");
    check_refused("{3}a", "the repetition at character 1 repeats nothing");
    check_refused("(?:{3,})", "the repetition at character 4 repeats nothing");
    check_refused("*a", "the repetition at character 1 repeats nothing");
    check_refused("a{3,2}", "the repetition at character 1 has its smaller number last");
    check_refused("a{10001}", "a repetition at character 2 has a number above 10000");
    check_refused("(a", "the group at character 1 does not end");
    check_refused("a)", "a closing bracket at character 2 has no opening one");
    check_refused("[a", "the class at character 1 does not end");
    check_refused("[]", "an empty class at character 2 is not supported");
    check_refused("[b-a]", "the class at character 1 has a wrong range");
    check_refused("[\\d-z]", "the class at character 1 has a wrong range");
    check_refused("a\\", "the backslash at character 3 has nothing to escape");
    check_refused("\\u12", "the escape at character 2 is not the number of a character");
    check_refused("\\ud800", "the escape at character 2 is not the number of a character");
    check_refused("\\u{110000}", "the escape at character 2 is not the number of a character");
    check_refused(std::string(40, '(') + std::string(40, ')'),
                  "a group at character 34 is nested too deeply");
}

BOOST_AUTO_TEST_CASE(expression_for_a_whole_text_becomes_a_pattern) {
    BOOST_TEST(as_pattern("ab") == "^(?:ab)$");
    BOOST_TEST(as_pattern("") == "^(?:)$");
    BOOST_TEST(as_pattern("^a$|^b$|c") == "^(?:a|b|c)$");
    BOOST_TEST(as_pattern("a\\$") == "^(?:a\\$)$");
    BOOST_TEST(as_pattern("a\\\\$") == "^(?:a\\\\)$");
    BOOST_TEST(as_pattern("(a|b)[|$]\\|x$") == "^(?:(a|b)[|$]\\|x)$");
    for (const std::string regex : {"^a$|^b$", "(a|b)[|$]\\|x$", "a\\\\$", "[\\]|]|^c"}) {
        const auto whole = automaton_of(regex, RegexScope::whole_text);
        const auto part = automaton_of(as_pattern(regex), RegexScope::part_of_text);
        for (const char* text : {"a", "b", "ab", "c", "|", "]", "a||x", "b$|x", "a\\", "a$"})
            BOOST_TEST(accepts(whole, text) == accepts(part, text), regex << " and " << text);
    }
}

BOOST_AUTO_TEST_CASE(length_of_the_text_is_limited_too) {
    const auto words = automaton_of("(ab|한)*", RegexScope::whole_text, {3, 5});
    for (const char* text : {"ab한", "한한한", "ab한ab", "한한한한한"})
        BOOST_TEST(accepts(words, text), text);
    for (const char* text : {"", "ab", "한", "ababab", "한한한한한한"})
        BOOST_TEST(!accepts(words, text), text);
    const auto at_least = automaton_of("a*", RegexScope::whole_text, {2, TextLength::unlimited});
    BOOST_TEST(!accepts(at_least, "a"));
    BOOST_TEST(accepts(at_least, "aaaaa"));
    // No state is a dead end: after "ab", only texts of length 3 can follow.
    BOOST_TEST(problem_of("(ab)*", {3, 3}) == "it matches no text");
    BOOST_TEST(problem_of("[^\\d\\D]") == "it matches no text");
    BOOST_TEST(problem_of("a|[^\\d\\D]") == "");
}

BOOST_AUTO_TEST_CASE(automata_are_limited_in_size) {
    BOOST_TEST(problem_of("a{999}") == "");
    BOOST_TEST(problem_of("a{1000}") == "its automaton is too large");
    BOOST_TEST(problem_of("(a|b)*a(a|b){20}") == "its automaton is too large");
    BOOST_TEST(problem_of("((a{1,100}){1,100}){1,100}") == "its automaton is too large");
    // Parts without characters are no work, however often they are repeated.
    BOOST_TEST(problem_of("(((){10000}){10000}){10000}b") == "");
    BOOST_TEST(problem_of("((((){0,10000}){3,10000}){10000,}){10000}b") == "");
    BOOST_TEST(problem_of("(.*a.*b.*c.*){10000}") == "its automaton is too large");
}

// Returns where a match that begins at one of the places can end. Follows the expression step by step.
std::set<std::size_t> ends_of(const Regex& regex, std::string_view text,
                              const std::set<std::size_t>& begins) {
    std::set<std::size_t> ends;
    if (regex.kind == Regex::Kind::characters) {
        for (const std::size_t begin : begins)
            for (const CharacterRange& range : regex.characters)
                if (begin < text.size() && range.first <= static_cast<char32_t>(text[begin]) &&
                    static_cast<char32_t>(text[begin]) <= range.last)
                    ends.insert(begin + 1);
    } else if (regex.kind == Regex::Kind::choice) {
        for (const Regex& part : regex.parts) ends.merge(ends_of(part, text, begins));
    } else if (regex.kind == Regex::Kind::sequence) {
        ends = begins;
        for (const Regex& part : regex.parts) ends = ends_of(part, text, ends);
    } else {
        std::set<std::size_t> places = begins;
        const int most =
            regex.max == Regex::unlimited ? regex.min + static_cast<int>(text.size()) : regex.max;
        for (int count = 0; count <= most && !places.empty(); ++count) {
            if (count >= regex.min) ends.insert(places.begin(), places.end());
            places = ends_of(regex.parts.front(), text, places);
        }
    }
    return ends;
}

BOOST_AUTO_TEST_CASE(automata_match_what_their_expressions_match) {
    const std::string letters = "ab.";
    std::vector<std::string> texts{""};
    for (std::size_t i = 0; texts[i].size() < 5; ++i)
        for (const char c : letters) texts.push_back(texts[i] + c);
    for (const char* text : {"(a|b)*a", "(ab|a)(b|.)*", "[^a]{1,3}a?", "(a*b){2}", "a.b|\\.+",
                             "((a|ab)(bb|b))*", "(a?b?){3}", "((a{2}|b)*\\.?){1,2}", "(a*)*(a|aa)+b{0,2}"}) {
        const auto regex = parse_regex(text, RegexScope::whole_text).value();
        const auto automaton = make_automaton(regex, {}).value();
        for (const std::string& candidate : texts)
            BOOST_TEST(
                accepts(automaton, candidate) == ends_of(regex, candidate, {0}).contains(candidate.size()),
                text << " and " << candidate);
    }
}

BOOST_AUTO_TEST_SUITE_END()
