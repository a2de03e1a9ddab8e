#include "inference/grammar/grammar_text.hpp"

#include <boost/test/unit_test.hpp>

using namespace solard;

BOOST_AUTO_TEST_SUITE(grammar_text)

BOOST_AUTO_TEST_CASE(grammars_of_clients_are_supported) {
    BOOST_TEST(!why_gbnf_not_supported("root ::= (item (\", \" item){0,20}) # Regex(\"a\")\n"
                                       "item ::= [^\"\\]()] | \"Token(\\\"\" | Tokens\n"
                                       "Tokens ::= \"(\" ws? \")\"\nws ::= [ \\t\\n]*")
                    .has_value());
    BOOST_TEST(!why_lark_not_supported("start: line+ // %json\n%import common.LF\n%ignore \" \"\n"
                                       "line: \"%json\" /(.*)[\\/(]/ LF -> line")
                    .has_value());
}

BOOST_AUTO_TEST_CASE(what_is_not_supported_is_named_with_its_line) {
    const auto check = [](const auto& found, std::string_view expected) {
        BOOST_TEST(found.value_or("nothing") == expected);
    };
    for (const std::string name :
         {"TagDispatch", "Token", "ExcludeToken", "TokenTagDispatch", "Regex", "Substring"})
        check(why_gbnf_not_supported("root ::= a\na ::= " + name + "(\"a\")"),
              "line 2: " + name + "() is not supported");
    check(why_gbnf_not_supported("root ::= Token # \"\n ( 5)"), "line 1: Token() is not supported");
    check(why_gbnf_not_supported("# a\rroot ::= Token(1)"), "line 1: Token() is not supported");
    check(why_gbnf_not_supported("root[max_tokens=3] ::= \"a\""),
          "line 1: attributes of a rule are not supported");
    check(why_gbnf_not_supported("root [lazy]\n::= \"a\""), "line 1: attributes of a rule are not supported");
    BOOST_TEST(!why_gbnf_not_supported("root ::= a[x] # [y] ::=\na ::= \"b\"").has_value());
    check(why_gbnf_not_supported("root ::= \"a\" (= \"b\")"), "line 1: a lookahead is not supported");
    check(why_gbnf_not_supported("root ::= [a]{1,10001}"), "line 1: a number is above 10000");
    check(why_gbnf_not_supported("root ::= [a]{99999999999999999999999}"), "line 1: a number is above 10000");
    BOOST_TEST(!why_gbnf_not_supported("root ::= [a]{1,10000}").has_value());
    check(why_gbnf_not_supported("root ::= " + std::string(33, '(') + "\"a\"" + std::string(33, ')')),
          "line 1: it is nested too deeply");
    BOOST_TEST(!why_gbnf_not_supported("root ::= " + std::string(32, '(') + "\"a\"" + std::string(32, ')'))
                    .has_value());
    check(why_gbnf_not_supported(std::string(2000, '\n')), "line 2001: it has more than 2000 lines");
    check(why_gbnf_not_supported("root ::= \"a"), "line 1: a text or a class is not closed");
    check(why_gbnf_not_supported("root ::= [a"), "line 1: a text or a class is not closed");
    check(why_gbnf_not_supported("root ::= (\"a\""), "line 1: a bracket is not closed");
    check(why_gbnf_not_supported("root ::= \"a\")"), "line 1: a bracket has no opening one");
    for (const std::string name : {"%json", "%regex", "%declare", "%override", "%extend", "%llguidance"})
        check(why_lark_not_supported("start: a\na: " + name + " {}"),
              "line 2: " + name + " is not supported");
    check(why_lark_not_supported("# \"\nstart: %json {}\n# \""), "line 2: %json is not supported");
    check(why_lark_not_supported("start[lazy, stop=\"x\"] : \"a\""),
          "line 1: attributes of a rule are not supported");
    check(why_lark_not_supported("start: <|im_end|>"), "line 1: the sign < is not supported");
    check(why_lark_not_supported("start: @grammar"), "line 1: the sign @ is not supported");
    check(why_lark_not_supported("start: \"a\" ~ 1..10001"), "line 1: a number is above 10000");
    BOOST_TEST(!why_lark_not_supported("# 5\" wide\nstart: [\"a\" ~ 1..10000] \":\" x\nx: \"<@\" -> name")
                    .has_value());
    check(why_lark_not_supported("%import other.LF"), "line 1: %import is not supported");
}

BOOST_AUTO_TEST_SUITE_END()
