#include "server/api/tool_fields.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

namespace solard::server {
namespace {

namespace json = boost::json;

struct Parsed {
    ToolFields fields;
    std::optional<Error> error;
};

Parsed parse(const std::string& body, BodyKind kind = BodyKind::chat) {
    const json::object object = json::parse("{" + body + "}").as_object();
    FieldReader fields(object);
    ToolFields parsed = parse_tool_fields(fields, kind);
    return {std::move(parsed), fields.error()};
}

Tools accepted(const std::string& body, BodyKind kind = BodyKind::chat) {
    auto parsed = parse(body, kind);
    BOOST_REQUIRE_MESSAGE(!parsed.error, body << ": " << (parsed.error ? parsed.error->message : ""));
    BOOST_REQUIRE(parsed.fields.tools.has_value());
    return *std::move(parsed.fields.tools);
}

void check_refused(const std::string& body, std::string_view param, std::string_view part,
                   BodyKind kind = BodyKind::chat) {
    const auto parsed = parse(body, kind);
    BOOST_TEST_CONTEXT(body) {
        BOOST_REQUIRE(parsed.error.has_value());
        BOOST_TEST(parsed.error->param == param);
        BOOST_TEST(parsed.error->message.find(part) != std::string::npos, parsed.error->message);
    }
}

std::string function(const std::string& members) {
    return R"("tools":[{"type":"function","function":{)" + members + "}}]";
}

const std::string two =
    R"("tools":[{"type":"function","function":{"name":"a"}},{"type":"custom","custom":{"name":"b"}}])";

}  // namespace

BOOST_AUTO_TEST_SUITE(tool_fields,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(tools_have_names_and_schemas_and_are_described_to_the_model) {
    const Tools tools = accepted(function(
        R"("name":"f","description":"Does it","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"integer"}}})"));
    BOOST_REQUIRE(tools.callable.size() == 1U);
    BOOST_TEST(tools.callable[0].name == "f");
    BOOST_TEST(!tools.callable[0].is_custom);
    BOOST_TEST(!tools.must_call);
    BOOST_TEST(tools.parallel);
    const auto& described = tools.described.at(0).at("function");
    BOOST_TEST(described.at("description") == "Does it");
    BOOST_TEST(described.at("parameters").at("properties").at("x").at("type") == "integer");
}

BOOST_AUTO_TEST_CASE(responses_write_the_members_beside_the_type) {
    const Tools tools = accepted(
        R"("tools":[{"type":"function","name":"f","parameters":{}},{"type":"custom","name":"c","format":{"type":"text"}}],
           "tool_choice":{"type":"custom","name":"c"},"parallel_tool_calls":false)",
        BodyKind::responses);
    BOOST_REQUIRE(tools.callable.size() == 1U);
    BOOST_TEST(tools.callable[0].name == "c");
    BOOST_TEST(tools.callable[0].is_custom);
    BOOST_TEST(tools.must_call);
    BOOST_TEST(!tools.parallel);
    BOOST_TEST(tools.described.size() == 2U);
}

BOOST_AUTO_TEST_CASE(schema_may_be_a_reference_to_one_of_its_definitions) {
    const Tools tools = accepted(function(
        R"("name":"f","parameters":{"$ref":"#/$defs/T","$defs":{"T":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/T"},{"type":"null"}]}}}}})"));
    BOOST_TEST(json::parse(tools.callable[0].schema).at("type") == "object");
    check_refused(function(R"("name":"f","parameters":{"$ref":"#/$defs/T","$defs":{"T":{"type":"array"}}})"),
                  "tools[0].function.parameters", "\"type\": \"object\"");
    check_refused(function(R"("name":"f","parameters":{"anyOf":[{"type":"object"}]})"),
                  "tools[0].function.parameters", "\"type\": \"object\"");
}

BOOST_AUTO_TEST_CASE(choice_says_which_tools_may_be_called) {
    const auto names = [](const std::string& choice) {
        std::string text;
        const Tools tools = accepted(two + R"(,"tool_choice":)" + choice);
        for (const Tool& tool : tools.callable) text += tool.name;
        return text + (tools.must_call ? "!" : "");
    };
    BOOST_TEST(names("null") == "ab");
    BOOST_TEST(names(R"("auto")") == "ab");
    BOOST_TEST(names(R"("required")") == "ab!");
    BOOST_TEST(names(R"({"type":"function","function":{"name":"a"}})") == "a!");
    BOOST_TEST(names(R"({"type":"custom","custom":{"name":"b"}})") == "b!");
    const std::string allowed = R"({"type":"allowed_tools","allowed_tools":{"mode":")";
    BOOST_TEST(names(allowed + R"(auto","tools":[{"type":"custom","custom":{"name":"b"}}]}})") == "b");
    BOOST_TEST(names(allowed + R"(required","tools":[{"type":"function","function":{"name":"a"}}]}})") ==
               "a!");
}

BOOST_AUTO_TEST_CASE(without_a_choice_tools_are_neither_checked_nor_used) {
    for (const char* body : {R"("tools":[{"type":"web_search"}],"tool_choice":"none")", R"("tools":[])", "",
                             R"("tools":[],"tool_choice":"auto")", R"("tools":null,"tool_choice":"none")"}) {
        const auto parsed = parse(body);
        BOOST_TEST(!parsed.error.has_value(), body);
        BOOST_TEST(!parsed.fields.tools.has_value(), body);
    }
}

BOOST_AUTO_TEST_CASE(response_repeats_the_fields) {
    const auto shown = parse(two + R"(,"tool_choice":"required","parallel_tool_calls":false)").fields.shown;
    BOOST_TEST(json::parse(shown.tools).as_array().size() == 2U);
    BOOST_TEST(shown.choice == R"("required")");
    BOOST_TEST(!shown.parallel);
    BOOST_TEST(parse("").fields.shown.tools == "[]");
}

BOOST_AUTO_TEST_CASE(problems_name_the_tool) {
    check_refused(R"("tools":{})", "tools", "list");
    check_refused(R"("tools":["x"])", "tools[0]", "object");
    check_refused(R"("tools":[{}])", "tools[0].type", "function or custom");
    check_refused(R"("tools":[{"type":"web_search"}])", "tools[0].type", "switch it off");
    check_refused(R"("tools":[{"type":"function","name":"f"}])", "tools[0].function", "object");
    check_refused(function(R"("name":"a b")"), "tools[0].function.name", "letters");
    check_refused(function(R"("name":"")"), "tools[0].function.name", "letters");
    check_refused(function(R"("name":"f","parameters":"x")"), "tools[0].function.parameters", "JSON Schema");
    check_refused(function(R"("name":"f","parameters":{"type":"array"})"), "tools[0].function.parameters",
                  "\"type\": \"object\"");
    check_refused(function(R"("name":"f","parameters":{"properties":{"a":{"not":{}}}})"),
                  "tools[0].function.parameters", "\"not\"");
    check_refused(
        R"("tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}])",
        "tools[1].function.name", "another tool");
    const auto with_format = [](const std::string& format) {
        return R"("tools":[{"type":"custom","custom":{"name":"c","format":)" + format + "}}]";
    };
    check_refused(with_format(R"({"type":"grammar"})"), "tools[0].custom.format.syntax", "regex");
    check_refused(with_format(R"({"type":"json"})"), "tools[0].custom.format.type", "text or grammar");
    check_refused(
        with_format(R"({"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"a\""}})"),
        "tools[0].custom.format.syntax", "regex");
    check_refused(with_format(R"({"type":"grammar","grammar":{"syntax":"regex","definition":"(a"}})"),
                  "tools[0].custom.format.definition", "the group at character 1 does not end");
    check_refused(with_format(R"({"type":"grammar","grammar":{"syntax":"regex"}})"),
                  "tools[0].custom.format.definition", "a regular expression");
    check_refused(R"("tools":[{"type":"custom","name":"c","format":{"type":"grammar"}}])",
                  "tools[0].format.syntax", "regex", BodyKind::responses);
    for (const char* choice :
         {R"("some")", "1", "{}", R"({"type":"function"})", R"({"type":"function","function":{"name":"b"}})",
          R"({"type":"function","function":{"name":"c"}})", R"({"type":"web_search"})",
          R"({"type":"allowed_tools"})",
          R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[1]}})",
          R"({"type":"allowed_tools","allowed_tools":{"mode":"x","tools":[]}})",
          R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}})"})
        check_refused(two + R"(,"tool_choice":)" + choice, "tool_choice", "one of the tools");
    check_refused(R"("tool_choice":"required")", "tool_choice", "no tools");
    check_refused(two + R"(,"parallel_tool_calls":1)", "parallel_tool_calls", "true");
}

BOOST_AUTO_TEST_CASE(limits_of_tools_are_exact) {
    const auto many = [](std::size_t count) {
        std::string body = R"("tools":[)";
        for (std::size_t i = 0; i < count; ++i)
            body += (i > 0 ? "," : "") + (R"({"type":"function","function":{"name":"f)" + std::to_string(i)) +
                    "\"}}";
        return body + "]";
    };
    BOOST_TEST(accepted(many(max_tools)).callable.size() == max_tools);
    check_refused(many(max_tools + 1), "tools", "128");
    accepted(function(R"("name":")" + std::string(max_tool_name, 'x') + "\""));
    check_refused(function(R"("name":")" + std::string(max_tool_name + 1, 'x') + "\""),
                  "tools[0].function.name", "128");
    const auto sized = [](std::size_t size) {
        return function(R"("name":"f","parameters":{"type":"object","properties":{"p":{"const":")" +
                        std::string(size, 'x') + R"("}},"required":["p"]})");
    };
    const std::size_t rest = accepted(sized(0)).callable[0].schema.size() + 1;
    accepted(sized(max_tool_schemas - rest));
    check_refused(sized(max_tool_schemas - rest + 1), "tools", "65536");
    const auto shown = [](std::size_t size) {
        return R"("tool_choice":"none","tools":[{"x":")" + std::string(size, 'x') + "\"}]";
    };
    constexpr std::size_t frame = 10;
    BOOST_TEST(!parse(shown(max_shown_tools - frame)).error.has_value());
    check_refused(shown(max_shown_tools - frame + 1), "tools", "262144");
}

BOOST_AUTO_TEST_CASE(grammar_has_one_tag_for_each_tool_that_may_be_called) {
    Tools tools = accepted(two);
    auto format = [&](std::string_view text_schema) {
        const auto source = grammar_of_calls(tools, hermes_form, text_schema);
        BOOST_TEST((source.kind == GrammarSource::Kind::structural_tag));
        return json::parse(source.text).at("format");
    };
    BOOST_TEST(format("").at("type") == "triggered_tags");
    BOOST_TEST(format("").at("triggers").at(0) == "<tool_call>");
    BOOST_TEST(format("").at("tags").as_array().size() == 2U);
    BOOST_TEST(format("").at("tags").at(1).at("begin") == "<tool_call>\n{\"name\": \"b\", \"arguments\": ");
    BOOST_TEST(format("").at("stop_after_first") == false);
    BOOST_TEST(format(R"({"type":"object"})").at("type") == "or");
    tools.parallel = false;
    BOOST_TEST(format("").at("stop_after_first") == true);
    tools.must_call = true;
    BOOST_TEST(format(R"({"type":"object"})").at("type") == "tags_with_separator");
    BOOST_TEST(format("").at("at_least_one") == true);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
