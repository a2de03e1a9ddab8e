#include "inference/grammar/library_schema.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <utility>

#include "inference/grammar/json_schema_keywords.hpp"

namespace solard {
namespace {

namespace json = boost::json;

// Says in words of the library what a schema leaves open, and leaves out what says nothing about the value:
// the library takes a list without `items` for an empty list, unless the schema has exactly this one keyword.
void complete(json::value& schema) {
    if (schema.is_array())
        for (json::value& item : schema.get_array()) complete(item);
    if (!schema.is_object()) return;
    json::object& object = schema.get_object();
    for (auto member = object.begin(); member != object.end();) {
        const SchemaKeyword* const keyword = find_keyword(member->key());
        if (keyword == nullptr || keyword->kind == KeywordKind::annotation || member->key() == "$id") {
            member = object.erase(member);
            continue;
        }
        if (keyword->kind == KeywordKind::schemas || keyword->kind == KeywordKind::definitions) {
            for (auto& inner : member->value().get_object()) complete(inner.value());
        } else if (keyword->kind == KeywordKind::schema || keyword->kind == KeywordKind::branches ||
                   keyword->kind == KeywordKind::prefix) {
            complete(member->value());
        }
        ++member;
    }
    // Its schemas exclude each other, as the checker has found in more cases than the library does.
    if (const auto one_of = object.find("oneOf"); one_of != object.end()) {
        json::value branches = std::move(one_of->value());
        object.erase(one_of);
        object["anyOf"] = std::move(branches);
    }
    const auto has_type = [&](std::string_view type) {
        const json::value* const value = object.if_contains("type");
        return value != nullptr && value->is_string() && value->get_string() == type;
    };
    if (has_type("array") && !object.contains("items") && !object.contains("prefixItems"))
        object["items"] = json::object();
    if (has_type("array") && object.contains("prefixItems") && !object.contains("items"))
        object["items"] = false;
    if (!has_type("object")) return;
    // An answer has no other properties than those which the schema names, if it names some. The library does
    // not follow exactly which others may stand beside them.
    const json::value* const properties = object.if_contains("properties");
    const bool names_some = properties != nullptr && !properties->get_object().empty();
    const json::value* const additional = object.if_contains("additionalProperties");
    if (names_some) {
        object["additionalProperties"] = false;
    } else if (properties == nullptr && additional == nullptr) {
        object["additionalProperties"] = json::object();
    } else if (properties != nullptr && additional != nullptr && *additional != false) {
        object.erase("properties");
    }
}

}  // namespace

std::string schema_of_library(json::value schema) {
    complete(schema);
    return json::serialize(schema);
}

}  // namespace solard
