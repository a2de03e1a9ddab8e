#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

#include "inference/grammar/json_schema.hpp"

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
         R"({"type":"string","pattern":"^[A-Z]{2}$","minLength":1,"maxLength":2,"format":"uri"})",
         R"({"type":["number","null"],"minimum":0,"exclusiveMaximum":0.5})",
         R"({"properties":{"a":{}},"required":["a","b"]})", R"({"maxItems":2})",
         R"({"oneOf":[{"type":"string"},{"type":"integer"}]})",
         R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},
                       {"type":"object","properties":{"t":{"enum":["b"]}},"required":["t"]}]})",
         R"({"enum":["a",1,null],"description":"several types"})", R"({"allOf":[{"type":"string"}]})"})
        check_supported(schema);
}

BOOST_AUTO_TEST_CASE(keywords_that_cannot_be_enforced_are_refused_by_name_and_place) {
    for (const char* keyword : {"not", "if", "contains", "uniqueItems", "dependentRequired",
                                "dependentSchemas", "unevaluatedProperties", "$dynamicRef", "x-anything",
                                "patternProperties", "propertyNames", "minProperties", "maxProperties"})
        check_refused(
            R"({"type":"object","properties":{"a":{"type":"array","items":{")" + std::string(keyword) +
                R"(":{}}}}})",
            "the keyword \"" + std::string(keyword) + "\" at #/properties/a/items is not supported");
    check_refused(R"({"allOf":[{},{}]})", "\"allOf\" at # with more than one schema");
    check_refused(R"({"type":"object","properties":{"a":false}})", "false at #/properties/a");
    check_refused(R"({"$ref":"https://example.com/schema"})", "\"$ref\" at #");
}

BOOST_AUTO_TEST_CASE(combinations_that_cannot_be_enforced_are_refused) {
    check_refused(R"({"anyOf":[{"type":"string"}],"format":"date"})", "\"format\" beside \"anyOf\" at #");
    check_refused(R"({"$defs":{"a":{}},"$ref":"#/$defs/a","type":"string"})", "\"type\" beside \"$ref\"");
    check_refused(R"({"enum":["a"],"format":"date"})", "\"format\" beside \"enum\"");
    check_refused(R"({"type":"string","enum":["a",1]})", "does not have the type beside it");
    check_refused(R"({"type":"integer","const":1.5})", "does not have the type beside it");
    check_refused(
        R"({"type":"object","properties":{"a":{}},"required":["a","b"],"additionalProperties":false})",
        "names \"b\", which the object may not have");
    check_refused(R"({"type":"object","properties":{"a\"":{}}})",
                  "a quote, a backslash or a control character");
}

// Only definitions are checked, so a reference may lead nowhere else.
BOOST_AUTO_TEST_CASE(references_lead_to_definitions) {
    check_supported(R"({"$defs":{"a b":{}},"$ref":"#/$defs/a b"})");
    check_supported(R"({"type":"array","items":{"$ref":"#"}})");
    for (const char* reference :
         {"#/$defs/b", "#/default", "#/$defs/a~1b", "#/$defs/a/b", "#a", "other.json"})
        check_refused(R"({"$defs":{"a":{}},"default":{"not":{}},"type":"array","items":{"$ref":")" +
                          std::string(reference) + "\"}}",
                      "\"$ref\" at #/items");
    check_refused(R"({"type":"array","items":{"$id":"x"}})", "supported only for the whole schema");
}

BOOST_AUTO_TEST_CASE(what_says_nothing_about_the_value_is_left_out) {
    const auto rest = [](std::string_view schema) { return without_annotations(json::parse(schema)); };
    BOOST_TEST(rest(R"({"$id":"a","type":"object","title":"x","$comment":"y"})") == R"({"type":"object"})");
    BOOST_TEST(rest(R"({"anyOf":[{"type":"object","example":{}}],"default":{}})") ==
               R"({"anyOf":[{"type":"object"}]})");
    BOOST_TEST(rest(R"({"type":"array","items":{"description":"a"},"prefixItems":[{"title":"b"}]})") ==
               R"({"type":"array","items":{},"prefixItems":[{}]})");
    // Names of properties are no keywords, and constants are no schemas.
    BOOST_TEST(rest(R"({"$defs":{"title":{"title":"x"}},"properties":{"title":{"const":{"title":"x"}}}})") ==
               R"({"$defs":{"title":{}},"properties":{"title":{"const":{"title":"x"}}}})");
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

// A keyword says nothing about values of other types, so only what a schema names excludes other types.
BOOST_AUTO_TEST_CASE(one_of_does_not_exclude_by_what_schemas_leave_open) {
    for (const char* branches :
         {R"({"type":"string"},{"properties":{"k":{"type":"integer"}},"required":["k"]})",
          R"({"type":"integer"},{"minLength":3})", R"({"const":1},{"const":1.0})",
          R"({"const":[1]},{"const":[1.0]})",
          R"({"type":["object","null"],"properties":{"k":{"const":1}},"required":["k"]},
             {"type":["object","null"],"properties":{"k":{"const":2}},"required":["k"]})",
          R"({"type":"object","properties":{"k":{"const":1}},"required":["k"]},
             {"type":"object","properties":{"k":{"const":1.0}},"required":["k"]})"})
        check_refused(R"({"oneOf":[)" + std::string(branches) + "]}", "\"oneOf\" at #");
    check_supported(R"({"oneOf":[{"const":1},{"const":2},{"type":"string"}]})");
}

BOOST_AUTO_TEST_CASE(values_of_keywords_have_types_and_limits) {
    check_refused(R"({"type":"text"})", "\"type\" at #");
    check_refused(R"({"type":[]})", "\"type\" at #");
    check_refused(R"({"type":"array","minItems":-1})", "\"minItems\" at #");
    check_supported(R"({"type":"array","maxItems":10000})");
    check_refused(R"({"type":"array","maxItems":10001})",
                  "\"maxItems\" at # must be a whole number up to 10000");
    check_refused(R"({"type":"integer","minimum":5,"maximum":4})", "no number is within the bounds at #");
    check_supported(R"({"type":"integer","minimum":5,"maximum":5})");
    check_refused(R"({"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":6})", "no number is within");
    check_refused(R"({"type":"integer","minimum":5.2,"maximum":5.8})", "no number is within");
    check_refused(R"({"type":"number","minimum":5,"exclusiveMaximum":5})", "no number is within");
    check_supported(R"({"type":"number","minimum":5,"maximum":5})");
    check_refused(R"({"type":"integer","minimum":11,"maximum":19,"multipleOf":10})", "no number is within");
    check_refused(R"({"type":"integer","minimum":0,"multipleOf":10})",
                  "only if the other bound is there too");
    check_supported(R"({"type":"integer","minimum":0,"maximum":10000,"multipleOf":10})");
    check_refused(R"({"type":"integer","minimum":0,"maximum":10001,"multipleOf":10})", "at most 10000 away");
    check_supported(R"({"type":"integer","multipleOf":1000})");
    check_refused(R"({"type":"integer","multipleOf":1001})", "a whole number up to 1000");
    check_refused(R"({"type":"integer","multipleOf":0})", "a whole number up to 1000");
    check_refused(R"({"type":"number","multipleOf":2})", "supported only with \"type\": \"integer\"");
    check_supported(R"({"type":"number","minimum":5,"exclusiveMinimum":3,"maximum":5})");
    check_refused(R"({"type":"number","minimum":3,"exclusiveMinimum":5,"maximum":5})", "no number is within");
    check_supported(R"({"type":"string","minimum":5,"maximum":4})");
    check_supported(R"({"type":"number","exclusiveMaximum":1e9,"minimum":0.000001})");
    check_refused(R"({"type":"number","exclusiveMaximum":1.1e9})",
                  "\"exclusiveMaximum\" at # must be at most 1e9");
    check_refused(R"({"type":"number","minimum":1.1e-7})", "\"minimum\" at # must have at most six decimals");
    check_refused(R"({"type":["string","string","string","string","string","string","string","string"]})",
                  "\"type\" at #");
    check_refused(R"({"type":"number","minimum":1.1e15})", "\"minimum\" at # must be at most 1e15");
    check_refused(R"({"type":"string","minLength":3,"maxLength":2})", "\"minLength\" at # is greater");
    check_refused(R"({"type":"string","maxLength":10001})",
                  "\"maxLength\" at # must be a whole number up to 10000");
    check_refused(R"({"type":"array","minItems":3,"maxItems":2})", "\"minItems\" at # is greater");
    check_refused(R"({"type":"array","prefixItems":[{},{}],"maxItems":1})", "\"maxItems\" at # is less");
    check_refused(R"({"type":"array","items":false,"minItems":1})",
                  "greater than the number of possible items");
    check_refused(R"x({"type":"string","pattern":"a(?=b)"})x",
                  "in the \"pattern\" at #, a lookahead at character 2 is not supported");
    check_refused(R"({"type":"string","pattern":3})", "\"pattern\" at # must be a string");
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
