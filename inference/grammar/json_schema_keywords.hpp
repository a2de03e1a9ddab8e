// The keywords of JSON Schema to which an answer can be held, and those that say nothing about the value.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace solard {

// What a keyword's value is.
enum class KeywordKind : std::uint8_t {
    annotation,  // says nothing about the value
    bound,       // a number of items
    text,
    number,
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
};

// The library also knows other keywords, such as `pattern`, but enforces them only in part: with them, an
// answer could break the schema, or could even be invalid JSON.
inline constexpr auto schema_keywords = std::to_array<SchemaKeyword>({
    {"$comment", KeywordKind::annotation},
    {"$defs", KeywordKind::definitions},
    {"$id", KeywordKind::text},
    {"$ref", KeywordKind::text},
    {"$schema", KeywordKind::annotation},
    {"additionalProperties", KeywordKind::schema},
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
    {"exclusiveMaximum", KeywordKind::number},
    {"exclusiveMinimum", KeywordKind::number},
    {"format", KeywordKind::text},
    {"items", KeywordKind::schema},
    {"maxItems", KeywordKind::bound},
    {"maximum", KeywordKind::number},
    {"minItems", KeywordKind::bound},
    {"minimum", KeywordKind::number},
    {"multipleOf", KeywordKind::number},
    {"oneOf", KeywordKind::branches},
    {"prefixItems", KeywordKind::prefix},
    {"properties", KeywordKind::schemas},
    {"readOnly", KeywordKind::annotation},
    {"required", KeywordKind::names},
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

}  // namespace solard
