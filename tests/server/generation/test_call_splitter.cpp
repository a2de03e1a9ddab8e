#include "server/generation/call_splitter.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <ostream>
#include <random>

namespace solard::server {

using Kind = CallPiece::Kind;
using Pieces = std::vector<CallPiece>;

static std::ostream& operator<<(std::ostream& out, const CallPiece& piece) {
    return out << static_cast<int>(piece.kind) << " " << piece.text;
}

namespace {

const CallRules generic{hermes_form, {"note"}};

// Joins neighbouring parts of one message or of the arguments of one call.
Pieces joined(const Pieces& pieces) {
    Pieces out;
    for (const CallPiece& piece : pieces) {
        const bool continues = piece.kind == Kind::text || piece.kind == Kind::arguments;
        if (continues && !out.empty() && out.back().kind == piece.kind) {
            out.back().text += piece.text;
        } else {
            out.push_back(piece);
        }
    }
    return out;
}

// Feeds the text in parts. Bit i of `cuts` asks for a cut after byte i.
Pieces split(const CallRules& rules, std::string_view text, std::uint64_t cuts) {
    CallSplitter splitter(rules);
    Pieces pieces;
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= text.size(); ++end) {
        if (end < text.size() && ((cuts >> (end % 64)) & 1) == 0) continue;
        splitter.append(text.substr(begin, end - begin), end == text.size(), pieces);
        begin = end;
    }
    if (text.empty()) splitter.append("", true, pieces);
    return joined(pieces);
}

// The pieces must be the same however the text is cut.
void check(const CallRules& rules, std::string_view text, const Pieces& expected) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t cuts = i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : random() & random();
        const Pieces pieces = split(rules, text, cuts);
        BOOST_TEST_CONTEXT(text << " with cuts " << cuts)
        BOOST_REQUIRE_EQUAL_COLLECTIONS(pieces.begin(), pieces.end(), expected.begin(), expected.end());
    }
}

std::string call(const std::string& name, const std::string& arguments) {
    return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}\n</tool_call>";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(call_splitter)

BOOST_AUTO_TEST_CASE(text_without_calls_is_one_message) {
    for (const std::string text :
         {"Hello", " two\n lines \n", "a <tool_ b", "<<tool_call", "1 < 2 <tool_cal", "한국 <", "  \n"})
        check(generic, text, {{Kind::text, text}});
    check(generic, "", {});
}

BOOST_AUTO_TEST_CASE(call_has_its_name_and_its_arguments) {
    const std::string nested = R"({"a": {"b": [1, "}"]}, "c": "\"}{\\", "한": "<tool_call>"})";
    check(generic, call("f", nested), {{Kind::call, "f"}, {Kind::arguments, nested}, {Kind::call_end, ""}});
    check(generic, call("f", "{}"), {{Kind::call, "f"}, {Kind::arguments, "{}"}, {Kind::call_end, ""}});
}

BOOST_AUTO_TEST_CASE(white_space_beside_calls_is_no_message) {
    check(generic, "So: \n" + call("f", "{}") + "\n" + call("g", "{}") + "\n\nDone. \n",
          {{Kind::text, "So:"},
           {Kind::call, "f"},
           {Kind::arguments, "{}"},
           {Kind::call_end, ""},
           {Kind::call, "g"},
           {Kind::arguments, "{}"},
           {Kind::call_end, ""},
           {Kind::text, "\n\nDone. \n"}});
}

BOOST_AUTO_TEST_CASE(white_space_at_the_end_after_a_call_is_no_message) {
    const Pieces only_call{{Kind::call, "f"}, {Kind::arguments, "{}"}, {Kind::call_end, ""}};
    for (const std::string end : {"", "\n", " \n\n", "\n"}) check(generic, call("f", "{}") + end, only_call);
}

BOOST_AUTO_TEST_CASE(answer_that_consists_of_calls_has_no_text) {
    CallRules rules = generic;
    rules.must_call = true;
    const std::string whole = call("f", "{}") + "\n" + call("f", "{}");
    for (std::size_t size = 0; size < 11; ++size) check(rules, whole.substr(0, size), {});
    check(rules, whole.substr(0, whole.size() / 2 + 8),
          {{Kind::call, "f"}, {Kind::arguments, "{}"}, {Kind::call_end, ""}});
}

BOOST_AUTO_TEST_CASE(text_with_a_schema_has_no_calls_within) {
    CallRules rules = generic;
    rules.calls_come_first = true;
    const std::string text = "{\"a\": \"" + call("f", "{}") + "\"} ";
    check(rules, text, {{Kind::text, text}});
    check(rules, "<tool_", {{Kind::text, "<tool_"}});
    check(rules, "<tool_x" + call("f", "{}"), {{Kind::text, "<tool_x" + call("f", "{}")}});
    check(rules, call("f", "{}") + "\n" + call("g", "{}"),
          {{Kind::call, "f"},
           {Kind::arguments, "{}"},
           {Kind::call_end, ""},
           {Kind::call, "g"},
           {Kind::arguments, "{}"},
           {Kind::call_end, ""}});
}

BOOST_AUTO_TEST_CASE(long_white_space_is_not_held_back) {
    CallSplitter splitter(generic);
    Pieces pieces;
    splitter.append(std::string(1000, ' '), false, pieces);
    BOOST_REQUIRE(pieces.size() == 1U);
    BOOST_TEST(pieces[0].text.size() > 700U);
}

BOOST_AUTO_TEST_CASE(answer_that_is_cut_shows_what_is_known) {
    const std::string whole = call("get", R"({"a": "x"})");
    check(generic, whole.substr(0, whole.find("get") + 3), {});
    check(generic, whole.substr(0, whole.find("{\"a")), {{Kind::call, "get"}});
    check(generic, whole.substr(0, whole.find("x\"")),
          {{Kind::call, "get"}, {Kind::arguments, "{\"a\": \""}});
    check(generic, whole.substr(0, whole.size() - 3),
          {{Kind::call, "get"}, {Kind::arguments, R"({"a": "x"})"}, {Kind::call_end, ""}});
}

BOOST_AUTO_TEST_CASE(custom_tool_gets_its_text) {
    check(generic, call("note", R"({"input": "a \"b\"\n한"})"),
          {{Kind::call, "note"}, {Kind::arguments, "a \"b\"\n한"}, {Kind::call_end, ""}});
    check(generic, call("note", R"({"input": "a\ud800b"})"),
          {{Kind::call, "note"},
           {Kind::arguments,
            "a\xEF\xBF\xBD"
            "b"},
           {Kind::call_end, ""}});
    const std::string replaced = "\xEF\xBF\xBD";
    for (const auto& [raw, text] :
         {std::pair<std::string, std::string>{R"(\ud83d\ude00\u0041\t\/)", "😀A\t/"},
          {R"(\ud83d)", replaced},
          {R"(\ud83dx)", replaced + "x"},
          {R"(\ud83d\n)", replaced + "\n"},
          {R"(\ud83d\ud83d\ude00)", replaced + "😀"},
          {R"(\ude00\ud83d\u0041)", replaced + replaced + "A"},
          {R"(\\u0041})", "\\u0041}"},
          {"", ""}}) {
        Pieces expected{{Kind::call, "note"}};
        if (!text.empty()) expected.push_back({Kind::arguments, text});
        expected.push_back({Kind::call_end, ""});
        check(generic, call("note", R"({"input": ")" + raw + R"("})"), expected);
    }
}

BOOST_AUTO_TEST_CASE(text_of_a_custom_tool_comes_as_it_is_written) {
    const std::string whole = call("note", R"({"input": "ab\n\u00e9c"})");
    const auto until = [&](std::string_view part, std::string_view text) {
        Pieces expected{{Kind::call, "note"}};
        if (!text.empty()) expected.push_back({Kind::arguments, std::string(text)});
        check(generic, whole.substr(0, whole.find(part)), expected);
    };
    until("input", "");
    until("ab", "");
    until("b", "a");
    until("n\\u", "ab");
    until("e9", "ab\n");
    until("c\"", "ab\né");
}

BOOST_AUTO_TEST_CASE(forms_of_other_models_are_found) {
    const CallRules llama{tool_form_of("tools Environment: ipython \"parameters\": ")};
    check(llama, R"({"name": "f", "parameters": {"x": 1}})",
          {{Kind::call, "f"}, {Kind::arguments, R"({"x": 1})"}, {Kind::call_end, ""}});
    check(llama, R"({"nam)", {{Kind::text, R"({"nam)"}});
    const CallRules mistral{tool_form_of("tools [TOOL_CALLS] [")};
    check(mistral, R"([TOOL_CALLS] [{"name": "f", "arguments": {"x": [1]}}])",
          {{Kind::call, "f"}, {Kind::arguments, R"({"x": [1]})"}, {Kind::call_end, ""}});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
