// Tests which grammar a request asks for, by all names that this has in the APIs.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "server/api/responses.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;
using Kind = GrammarSource::Kind;

result<GenerationFields> parsed(std::string_view kind, const std::string& fields) {
    const std::string rest = fields.empty() ? "}" : "," + fields + "}";
    if (kind == "chat") {
        auto request = parse_chat_request(R"({"messages":[{"role":"user","content":"hi"}])" + rest,
                                          UnknownFields::ignored);
        if (!request) return request.error();
        return request->generation;
    }
    if (kind == "completions") {
        auto request = parse_completion_request(R"({"prompt":"hi")" + rest, UnknownFields::ignored);
        if (!request) return request.error();
        return request->generation;
    }
    auto request = parse_response_request(R"({"input":"hi")" + rest, UnknownFields::ignored);
    if (!request) return request.error();
    return request->generation;
}

const std::vector<std::string> kinds{"chat", "completions", "responses"};

void check(const std::string& kind, const std::string& fields, Kind expected, const std::string& text,
           const std::string& field) {
    const auto generation = parsed(kind, fields);
    BOOST_REQUIRE_MESSAGE(generation.has_value(), fields << ": " << generation.error().message);
    BOOST_REQUIRE_MESSAGE(generation->grammar.has_value(), fields);
    BOOST_TEST((generation->grammar->source.kind == expected), fields);
    BOOST_TEST(generation->grammar->source.text == text);
    BOOST_TEST(generation->grammar->field == field);
}

void check_refused(const std::string& kind, const std::string& fields, const std::string& param,
                   const std::string& part) {
    const auto generation = parsed(kind, fields);
    BOOST_REQUIRE_MESSAGE(generation.has_error(), kind << " accepts " << fields);
    BOOST_TEST(generation.error().param == param, generation.error().message);
    BOOST_TEST(generation.error().message.find(part) != std::string::npos, generation.error().message);
}

const std::string sent = R"({"type":"object"})";
const std::string schema = R"({"type":"object"})";  // what the library gets

}  // namespace

BOOST_AUTO_TEST_SUITE(grammar_fields,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(every_name_of_a_grammar_is_read_on_every_route) {
    for (const std::string& kind : kinds) {
        check(kind, R"("response_format":{"type":"json_object"})", Kind::json_object, "", "response_format");
        check(kind, R"("response_format":{"type":"json_object","schema":)" + sent + "}", Kind::json_schema,
              schema, "response_format");
        check(kind,
              R"("response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":)" +
                  sent + "}}",
              Kind::json_schema, schema, "response_format");
        check(kind, R"("structured_outputs":{"json":)" + sent + "}", Kind::json_schema, schema,
              "structured_outputs");
        check(kind, R"("structured_outputs":{"json":"{\"type\": \"object\"}"})", Kind::json_schema, schema,
              "structured_outputs");
        check(kind, R"("structured_outputs":{"json_object":true})", Kind::json_object, "",
              "structured_outputs");
        check(kind, R"("guided_json":)" + sent, Kind::json_schema, schema, "guided_json");
        check(kind, R"("guided_choice":["a","b\"\\\n"])", Kind::gbnf, "root ::= \"a\" | \"b\\\"\\\\\\x0a\"",
              "guided_choice");
        check(kind, R"("guided_regex":"a+")", Kind::regex, "a+", "guided_regex");
        check(kind, R"("structured_outputs":{"regex":"a+"})", Kind::regex, "a+", "structured_outputs");
        check(kind, R"("grammar":"root ::= \"a\"")", Kind::gbnf, "root ::= \"a\"", "grammar");
        check(kind, R"("guided_grammar":"root ::= \"a\"")", Kind::gbnf, "root ::= \"a\"", "guided_grammar");
        check(kind, R"("guided_grammar":"start: \"a\"")", Kind::lark, "start: \"a\"", "guided_grammar");
        check(kind, R"("structured_outputs":{"grammar":"start: \"a\""})", Kind::lark, "start: \"a\"",
              "structured_outputs");
        check(kind, R"("json_schema":)" + sent, Kind::json_schema, schema, "json_schema");
    }
    check("responses", R"("text":{"format":{"type":"json_object"},"verbosity":"medium"})", Kind::json_object,
          "", "text.format");
    check("responses", R"("text":{"format":{"type":"json_schema","name":"a","schema":)" + sent + "}}",
          Kind::json_schema, schema, "text.format");
}

BOOST_AUTO_TEST_CASE(values_that_restrict_nothing_are_accepted) {
    for (const std::string& kind : kinds) {
        for (const char* fields :
             {"", R"("response_format":{"type":"text"})", R"("response_format":null)", R"("grammar":"")",
              R"("guided_json":null)", R"("guided_regex":"")", R"("structured_outputs":{})",
              R"("structured_outputs":{"json":null,"disable_any_whitespace":true,"backend":"auto"})"}) {
            const auto generation = parsed(kind, fields);
            BOOST_REQUIRE_MESSAGE(generation.has_value(), fields << ": " << generation.error().message);
            BOOST_TEST(!generation->grammar.has_value(), fields);
        }
    }
    BOOST_TEST(!parsed("responses", R"("text":{"format":{"type":"text"}})").value().grammar.has_value());
}

BOOST_AUTO_TEST_CASE(wrong_values_are_refused_by_name) {
    for (const std::string& kind : kinds) {
        check_refused(kind, R"("response_format":{"type":"xml"})", "response_format.type", "json_schema");
        check_refused(kind, R"("response_format":{})", "response_format.type", "json_schema");
        check_refused(kind, R"("response_format":"json")", "response_format", "an object");
        check_refused(kind, R"("response_format":{"type":"json_schema"})", "response_format.json_schema",
                      "an object");
        check_refused(
            kind,
            R"("response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"a":{"not":{}}}}}})",
            "response_format", "\"not\" at #/properties/a");
        check_refused(kind, R"("guided_json":"{")", "guided_json", "it is not JSON");
        check_refused(kind, R"("guided_json":3)", "guided_json", "a JSON Schema");
        check_refused(kind, R"("guided_choice":[])", "guided_choice", "1 to 1000 strings");
        check_refused(kind, R"("guided_choice":[1])", "guided_choice", "strings");
        check_refused(kind, R"x("guided_regex":"(?=a)")x", "guided_regex",
                      "guided_regex has a regular expression that cannot be followed: a lookahead");
        check_refused(kind, R"("guided_regex":3)", "guided_regex", "a string");
        check_refused(kind, R"("structured_outputs":{"structural_tag":"x"})",
                      "structured_outputs.structural_tag", "not supported");
        check_refused(kind, R"("guided_choice":["a"],"json_schema":{})", "json_schema", "guided_choice");
        check_refused(kind, R"x("grammar":"root ::= Regex(\"a\")")x", "grammar",
                      "line 1: Regex() is not supported");
        check_refused(kind, R"("structured_outputs":{"grammar":"%json {}"})", "structured_outputs.grammar",
                      "line 1: %json is not supported");
        check_refused(kind, R"("structured_outputs":{"json":{},"choice":["b"]})", "structured_outputs.choice",
                      "structured_outputs.json");
    }
    check_refused("responses", R"("text":{"format":{"type":"xml"}})", "text.format.type", "json_schema");
    check_refused("responses", R"("text":{"verbosity":"high"})", "text.verbosity", "text.verbosity");
    check_refused("responses", R"("guided_choice":["a"],"text":{"format":{"type":"json_object"}})", "text",
                  "guided_choice");
}

BOOST_AUTO_TEST_CASE(size_of_a_schema_is_limited) {
    const auto with_title = [](std::size_t size) {
        const std::string rest = R"({"type":"object","title":""})";
        return R"("guided_json":{"type":"object","title":")" + std::string(size - rest.size(), 'a') + "\"}";
    };
    check("chat", with_title(64 << 10), Kind::json_schema, schema, "guided_json");
    check_refused("chat", with_title((64 << 10) + 1), "guided_json", "at most 65536 bytes");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
