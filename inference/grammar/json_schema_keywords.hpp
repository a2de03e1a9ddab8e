// The keywords of JSON Schema to which an answer can be held, and those that say nothing about the value.
#pragma once

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

namespace solard {

// What a keyword's value is.
enum class KeywordKind : std::uint8_t {
    annotation,  // says nothing about the value
    bound,       // a number of items or characters
    text,
    number,
    pattern,
    type,
    names,    // of properties
    values,   // of enum
    any,      // of const
    schema,   // a schema, which may also be true or false
    schemas,  // an object of schemas
    definitions,
    branches,  // a list of schemas
    prefix,    // the same, for the first items of a list
};

struct SchemaKeyword {
    std::string_view name;
    KeywordKind kind;
    std::string_view type{};  // of the values that it restricts: "number" includes integers; empty: any type
};

inline constexpr auto schema_keywords = std::to_array<SchemaKeyword>({
    {"$comment", KeywordKind::annotation},
    {"$defs", KeywordKind::definitions},
    {"$id", KeywordKind::text},
    {"$ref", KeywordKind::text},
    {"$schema", KeywordKind::annotation},
    {"additionalProperties", KeywordKind::schema, "object"},
    {"allOf", KeywordKind::branches},
    {"anyOf", KeywordKind::branches},
    {"const", KeywordKind::any},
    {"contentEncoding", KeywordKind::annotation},
    {"contentMediaType", KeywordKind::annotation},
    {"default", KeywordKind::annotation},
    {"definitions", KeywordKind::definitions},
    {"deprecated", KeywordKind::annotation},
    {"description", KeywordKind::annotation},
    {"enum", KeywordKind::values},
    {"example", KeywordKind::annotation},
    {"examples", KeywordKind::annotation},
    {"exclusiveMaximum", KeywordKind::number, "number"},
    {"exclusiveMinimum", KeywordKind::number, "number"},
    {"format", KeywordKind::text, "string"},
    {"items", KeywordKind::schema, "array"},
    {"maxItems", KeywordKind::bound, "array"},
    {"maxLength", KeywordKind::bound, "string"},
    {"maximum", KeywordKind::number, "number"},
    {"minItems", KeywordKind::bound, "array"},
    {"minLength", KeywordKind::bound, "string"},
    {"minimum", KeywordKind::number, "number"},
    {"multipleOf", KeywordKind::number, "number"},
    {"oneOf", KeywordKind::branches},
    {"pattern", KeywordKind::pattern, "string"},
    {"prefixItems", KeywordKind::prefix, "array"},
    {"properties", KeywordKind::schemas, "object"},
    {"readOnly", KeywordKind::annotation},
    {"required", KeywordKind::names, "object"},
    {"title", KeywordKind::annotation},
    {"type", KeywordKind::type},
    {"writeOnly", KeywordKind::annotation},
});
static_assert(std::ranges::is_sorted(schema_keywords, {}, &SchemaKeyword::name));

// Returns the keyword with this name, or null.
inline const SchemaKeyword* find_keyword(std::string_view name) {
    const auto found = std::ranges::lower_bound(schema_keywords, name, {}, &SchemaKeyword::name);
    return found != schema_keywords.end() && found->name == name ? &*found : nullptr;
}

inline bool restricts(const SchemaKeyword& keyword, std::string_view type) {
    return keyword.type == type || (keyword.type == "number" && type == "integer");
}

// Returns the types that a value may have: those which the schema names. If it names none, but has keywords
// which restrict values of certain types, those types are meant. Without any of these, returns nothing, and
// the value may have any type. The keywords must be known ones.
inline std::vector<std::string_view> types_of(const boost::json::object& schema) {
    std::vector<std::string_view> types;
    if (const auto* const named = schema.if_contains("type")) {
        if (named->is_string()) return {named->get_string()};
        for (const auto& type : named->get_array()) types.emplace_back(type.get_string());
        return types;
    }
    for (const auto& member : schema) {
        const SchemaKeyword& keyword = *find_keyword(member.key());
        if (!keyword.type.empty() && std::ranges::find(types, keyword.type) == types.end())
            types.push_back(keyword.type);
    }
    return types;
}

}  // namespace solard
