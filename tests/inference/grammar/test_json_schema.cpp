#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

#include "inference/grammar/json_schema.hpp"
#include "inference/grammar/library_schema.hpp"

using namespace solard;

namespace {

namespace json = boost::json;

std::string problem_of(std::string_view schema) {
    return why_not_supported(json::parse(schema, {}, {.max_depth = 100})).value_or("");
}

void check_supported(std::string_view schema) {
    BOOST_TEST(problem_of(schema).empty(), schema << ": " << problem_of(schema));
}

void check_refused(std::string_view schema, std::string_view part) {
    BOOST_TEST(problem_of(schema).find(part) != std::string::npos,
               schema << " is refused with: " << problem_of(schema) << "; expected: " << part);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json_schema)

BOOST_AUTO_TEST_CASE(schemas_that_clients_make_are_supported) {
    for (
        const char* schema :
        {"{}", R"({"type":"object"})",
         // pydantic
         R"({"$defs":{"Point":{"properties":{"x":{"title":"X","type":"integer"}},"required":["x"],"title":"Point","type":"object"}},
              "properties":{"points":{"items":{"$ref":"#/$defs/Point"},"type":"array"},
                            "name":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},
              "required":["points"],"title":"Shape","type":"object"})",
         // zod
         R"({"$schema":"http://json-schema.org/draft-07/schema#","type":"object","additionalProperties":false,
              "properties":{"kind":{"type":"string","const":"a"},"level":{"type":"string","enum":["low","high"]}},"required":["kind"]})",
         R"({"type":["string","null"]})", R"({"type":"object","additionalProperties":{"type":"number"}})",
         R"({"type":"array","prefixItems":[{"type":"integer"}],"items":false,"minItems":1,"maxItems":3})",
         R"({"type":"integer","minimum":-3,"maximum":9,"multipleOf":3})",
         R"({"oneOf":[{"type":"string"},{"type":"integer"}]})",
         R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},
                       {"type":"object","properties":{"t":{"enum":["b"]}},"required":["t"]}]})",
         R"({"enum":["a",1,null],"description":"several types"})", R"({"allOf":[{"type":"string"}]})"})
        check_supported(schema);
}

BOOST_AUTO_TEST_CASE(keywords_that_cannot_be_enforced_are_refused_by_name_and_place) {
    for (const char* keyword :
         {"not", "if", "contains", "uniqueItems", "dependentRequired", "dependentSchemas",
          "unevaluatedProperties", "$dynamicRef", "x-anything", "pattern", "minLength", "maxLength",
          "patternProperties", "propertyNames", "minProperties", "maxProperties"})
        check_refused(
            R"({"type":"object","properties":{"a":{"type":"array","items":{")" + std::string(keyword) +
                R"(":{}}}}})",
            "the keyword \"" + std::string(keyword) + "\" at #/properties/a/items is not supported");
    check_refused(R"({"allOf":[{},{}]})", "\"allOf\" at # with more than one schema");
    check_refused(R"({"type":"object","properties":{"a":false}})", "false at #/properties/a");
    check_refused(R"({"$ref":"https://example.com/schema"})", "\"$ref\" at #");
}

BOOST_AUTO_TEST_CASE(combinations_that_the_library_would_ignore_are_refused) {
    check_refused(R"({"anyOf":[{"type":"string"}],"format":"date"})", "\"format\" beside \"anyOf\" at #");
    check_refused(R"({"$defs":{"a":{}},"$ref":"#/$defs/a","type":"string"})", "\"type\" beside \"$ref\"");
    check_refused(R"({"enum":["a"],"format":"date"})", "\"format\" beside \"enum\"");
    check_refused(R"({"type":"string","enum":["a",1]})", "does not have the type beside it");
    check_refused(R"({"type":"integer","const":1.5})", "does not have the type beside it");
    check_refused(R"({"type":"object","properties":{"a":{}},"required":["a","b"]})",
                  "names \"b\", which \"properties\" does not have");
    for (const char* keyword :
         {R"("maxItems":2)", R"("properties":{})", R"("minimum":3)", R"("format":"date")"}) {
        const std::string name = std::string(keyword).substr(0, std::string(keyword).find(':'));
        check_refused("{" + std::string(keyword) + "}", name + " at # is supported only with \"type\"");
        check_refused(R"({"type":["boolean","null"],)" + std::string(keyword) + "}",
                      name + " at # is supported only with");
    }
    check_refused(R"({"type":"number","minimum":3})",
                  R"("minimum" at # is supported only with "type": "integer")");
    check_refused(R"({"type":"object","properties":{"a\"":{}}})",
                  "a quote, a backslash or a control character");
}

// Only definitions are checked, so a reference may lead nowhere else.
BOOST_AUTO_TEST_CASE(references_lead_to_definitions) {
    check_supported(R"({"$defs":{"a b":{}},"$ref":"#/$defs/a b"})");
    check_supported(R"({"type":"array","items":{"$ref":"#"}})");
    for (const char* reference : {"#/$defs/b", "#/default", "#/$defs/a~1b", "#a", "other.json"})
        check_refused(R"({"$defs":{"a":{}},"default":{"not":{}},"type":"array","items":{"$ref":")" +
                          std::string(reference) + "\"}}",
                      "\"$ref\" at #/items");
    check_refused(R"({"type":"array","items":{"$id":"x"}})", "supported only for the whole schema");
}

BOOST_AUTO_TEST_CASE(library_gets_what_a_schema_leaves_open) {
    const auto completed = [](std::string_view schema) { return schema_of_library(json::parse(schema)); };
    BOOST_TEST(completed(R"({"type":"array","maxItems":3})") ==
               R"({"type":"array","maxItems":3,"items":{}})");
    BOOST_TEST(completed(R"({"type":"object","title":"x"})") ==
               R"({"type":"object","additionalProperties":{}})");
    BOOST_TEST(completed(R"({"anyOf":[{"type":"object","example":{}}],"default":{}})") ==
               R"({"anyOf":[{"type":"object","additionalProperties":{}}]})");
    // Names of properties are no keywords, and constants are no schemas.
    BOOST_TEST(
        completed(R"({"type":"object","properties":{"title":{"const":{"type":"array"}}}})") ==
        R"({"type":"object","properties":{"title":{"const":{"type":"array"}}},"additionalProperties":false})");
    // Other properties than the named ones are never written.
    BOOST_TEST(
        completed(R"({"type":"object","properties":{"a":{}},"additionalProperties":{"type":"null"}})") ==
        R"({"type":"object","properties":{"a":{}},"additionalProperties":false})");
    BOOST_TEST(completed(R"({"type":"object","properties":{},"additionalProperties":{"type":"null"}})") ==
               R"({"type":"object","additionalProperties":{"type":"null"}})");
    BOOST_TEST(completed(R"({"type":"object","properties":{}})") == R"({"type":"object","properties":{}})");
}

BOOST_AUTO_TEST_CASE(one_of_needs_schemas_that_exclude_each_other) {
    check_refused(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "\"oneOf\" at #");
    check_refused(R"({"oneOf":[{"type":"string"},{}]})", "\"oneOf\" at #");
    check_refused(
        R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}}},{"type":"object","properties":{"t":{"const":"b"}}}]})",
        "use anyOf");  // the property may be absent
    check_refused(R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},
                              {"type":"object","properties":{"t":{"const":"a"}},"required":["t"]}]})",
                  "\"oneOf\" at #");
}

BOOST_AUTO_TEST_CASE(values_of_keywords_have_types_and_limits) {
    check_refused(R"({"type":"text"})", "\"type\" at #");
    check_refused(R"({"type":[]})", "\"type\" at #");
    check_refused(R"({"type":"array","minItems":-1})", "\"minItems\" at #");
    check_supported(R"({"type":"array","maxItems":10000})");
    check_refused(R"({"type":"array","maxItems":10001})",
                  "\"maxItems\" at # must be a whole number up to 10000");
    check_refused(R"({"required":"a"})", "\"required\" at #");
    check_refused(R"({"properties":[]})", "\"properties\" at #");
    check_refused(R"({"items":3})", "the schema at #/items must be an object");
    check_refused(R"({"enum":[]})", "\"enum\" at #");
}

BOOST_AUTO_TEST_CASE(size_and_depth_are_limited) {
    const auto nested = [](int depth) {
        json::value schema = json::object();
        for (int level = 1; level < depth; ++level)
            schema = json::object{{"type", "array"}, {"items", schema}};
        return json::serialize(schema);
    };
    check_supported(nested(32));
    check_refused(nested(33), "more than 32 levels");
    const auto wide = [](int count) {
        json::object properties;
        for (int i = 1; i < count; ++i) properties[std::to_string(i)] = json::object();
        return json::serialize(json::object{{"type", "object"}, {"properties", properties}});
    };
    check_supported(wide(2000));
    check_refused(wide(2001), "more than 2000 schemas");
    const auto branches = [](std::size_t count) {
        return json::serialize(json::object{{"anyOf", json::array(count, json::object())}});
    };
    check_supported(branches(64));
    check_refused(branches(65), "a list of 1 to 64 schemas");
    const auto values = [](std::size_t count) {
        return json::serialize(json::object{{"enum", json::array(count, 1)}});
    };
    check_supported(values(1000));
    check_refused(values(1001), "a list of 1 to 1000 values");
}

BOOST_AUTO_TEST_SUITE_END()
