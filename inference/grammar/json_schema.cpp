#include "inference/grammar/json_schema.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "inference/grammar/json_schema_keywords.hpp"
#include "inference/grammar/regex.hpp"
#include "inference/grammar/schema_numbers.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::size_t max_depth = 32;
constexpr std::size_t max_schemas = 2000;   // the schema and all schemas in it
constexpr std::size_t max_branches = 64;    // of anyOf or oneOf
constexpr std::size_t max_values = 1000;    // of enum
constexpr std::size_t max_required = 1000;  // names
constexpr std::int64_t max_bound = 10'000;  // of a number of items or characters

constexpr auto type_names =
    std::to_array<std::string_view>({"array", "boolean", "integer", "null", "number", "object", "string"});

// Beside one of these keywords, nothing else may restrict the value.
constexpr auto replacing =
    std::to_array<std::string_view>({"$ref", "allOf", "anyOf", "oneOf", "const", "enum"});

std::string quoted(std::string_view name) {
    constexpr std::size_t max_shown = 64;
    return json::serialize(json::string(name.substr(0, max_shown)));
}

bool has_type(const json::value& value, std::string_view type) {
    switch (value.kind()) {
        case json::kind::null:
            return type == "null";
        case json::kind::bool_:
            return type == "boolean";
        case json::kind::string:
            return type == "string";
        case json::kind::array:
            return type == "array";
        case json::kind::object:
            return type == "object";
        case json::kind::double_:
            return type == "number";
        case json::kind::int64:
        case json::kind::uint64:
            break;
    }
    return type == "number" || type == "integer";
}

bool may_overlap(std::string_view a, std::string_view b) {
    return a == b || (a == "number" && b == "integer") || (a == "integer" && b == "number");
}

// Returns the constant that a property has, or null if the schema leaves the property open.
const json::value* constant_of(const json::value& property) {
    if (!property.is_object()) return nullptr;
    if (const auto* const constant = property.get_object().if_contains("const")) return constant;
    const json::value* const values = property.get_object().if_contains("enum");
    if (values == nullptr || !values->is_array() || values->get_array().size() != 1) return nullptr;
    return &values->get_array().front();
}

// Returns false if the values differ. 1 and 1.0 are the same number.
bool may_be_equal(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    if (a.is_array() || a.is_object()) return a.kind() == b.kind();
    return a == b;
}

// What is easy to see of a branch of oneOf.
struct Branch {
    explicit Branch(const json::value& schema) {
        if (!schema.is_object()) return;
        const json::object& object = schema.get_object();
        if (object.contains("type")) types = types_of(object);
        constant = object.if_contains("const");
        if (constant != nullptr && types.empty())
            for (const std::string_view type : type_names)
                if (has_type(*constant, type)) types.push_back(type);
        const json::value* const required = object.if_contains("required");
        const json::value* const properties = object.if_contains("properties");
        if (types != std::vector<std::string_view>{"object"} || required == nullptr || properties == nullptr)
            return;
        for (const json::value& name : required->get_array()) {
            const auto* const property = properties->get_object().if_contains(name.get_string());
            if (property == nullptr) continue;
            if (const auto* const value = constant_of(*property)) constants.emplace(name.get_string(), value);
        }
    }

    std::vector<std::string_view> types;  // the only possible ones; empty: it is not easy to see
    const json::value* constant = nullptr;
    std::map<std::string_view, const json::value*> constants;  // of required properties of an object
};

// Returns true if it is easy to see that no value satisfies both schemas.
bool are_disjoint(const Branch& a, const Branch& b) {
    const bool types_meet =
        a.types.empty() || b.types.empty() || std::ranges::any_of(a.types, [&](std::string_view type) {
            return std::ranges::any_of(b.types,
                                       [&](std::string_view other) { return may_overlap(type, other); });
        });
    if (!types_meet) return true;
    if (a.constant != nullptr && b.constant != nullptr) return !may_be_equal(*a.constant, *b.constant);
    return std::ranges::any_of(a.constants, [&](const auto& constant) {
        const auto other = b.constants.find(constant.first);
        return other != b.constants.end() && !may_be_equal(*constant.second, *other->second);
    });
}

// Returns true if the name is the same in JSON, without any escape.
bool is_plain(std::string_view name) {
    return std::ranges::none_of(
        name, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
}

class Checker {
  public:
    std::optional<std::string> check(const json::value& schema) {
        root_ = &schema;
        check_schema(schema, "#", 1);
        return std::move(problem_);
    }

  private:
    void fail(std::string problem) {
        if (!problem_) problem_ = std::move(problem);
    }
    void fail_value(std::string_view name, const std::string& place, std::string_view expectation) {
        fail(quoted(name) + " at " + place + " must be " + std::string(expectation));
    }

    void check_schema(const json::value& schema, const std::string& place, std::size_t depth) {
        if (problem_) return;
        if (depth > max_depth) return fail("it has more than " + std::to_string(max_depth) + " levels");
        if (++num_schemas_ > max_schemas)
            return fail("it has more than " + std::to_string(max_schemas) + " schemas");
        if (schema.is_bool()) {
            if (!schema.get_bool()) fail("false at " + place + " is not supported");
            return;
        }
        if (!schema.is_object()) return fail("the schema at " + place + " must be an object");
        const json::object& object = schema.get_object();
        for (const auto& member : object) {
            const SchemaKeyword* const keyword = find_keyword(member.key());
            if (keyword == nullptr)
                return fail("the keyword " + quoted(member.key()) + " at " + place + " is not supported");
            check_value(*keyword, member.value(), place, depth);
            if (problem_) return;
        }
        check_combination(object, place);
    }

    void check_value(const SchemaKeyword& keyword, const json::value& value, const std::string& place,
                     std::size_t depth) {
        const std::string inner = place + "/" + std::string(keyword.name);
        switch (keyword.kind) {
            case KeywordKind::annotation:
            case KeywordKind::any:
                return;
            case KeywordKind::bound:
                if (!value.is_int64() || value.get_int64() < 0 || value.get_int64() > max_bound)
                    fail_value(keyword.name, place, "a whole number up to " + std::to_string(max_bound));
                return;
            case KeywordKind::text:
                if (!value.is_string()) return fail_value(keyword.name, place, "a string");
                if (keyword.name == "$ref" && !is_reference(value.get_string()))
                    fail_value(keyword.name, place,
                               "# or a reference to an existing #/$defs/name or #/definitions/name");
                if (keyword.name == "$id" && place != "#")
                    fail("\"$id\" at " + place + " is supported only for the whole schema");
                return;
            case KeywordKind::number:
                if (!value.is_number()) fail_value(keyword.name, place, "a number");
                return;
            case KeywordKind::pattern:
                return check_pattern(value, place);
            case KeywordKind::type:
                return check_type(value, place);
            case KeywordKind::names:
                if (!value.is_array() || value.get_array().size() > max_required ||
                    !std::ranges::all_of(value.get_array(), &json::value::is_string))
                    fail_value(keyword.name, place,
                               "a list of at most " + std::to_string(max_required) + " strings");
                return;
            case KeywordKind::values:
                if (!value.is_array() || value.get_array().empty() || value.get_array().size() > max_values)
                    fail_value(keyword.name, place,
                               "a list of 1 to " + std::to_string(max_values) + " values");
                return;
            case KeywordKind::schema:
                // `true` says nothing. These two keywords can also forbid what the schema does not describe.
                if (value.is_bool() &&
                    (value.get_bool() || keyword.name == "additionalProperties" || keyword.name == "items"))
                    return;
                return check_schema(value, inner, depth + 1);
            case KeywordKind::schemas:
            case KeywordKind::definitions:
                if (!value.is_object()) return fail_value(keyword.name, place, "an object of schemas");
                if (std::ranges::any_of(value.get_object(),
                                        [](const auto& member) { return !is_plain(member.key()); }))
                    return fail("a name in " + inner + " has a quote, a backslash or a control character");
                for (const auto& member : value.get_object())
                    check_schema(member.value(), inner + "/" + std::string(member.key().substr(0, 64)),
                                 depth + 1);
                return;
            case KeywordKind::branches:
            case KeywordKind::prefix:
                return check_branches(keyword, value, place, depth);
        }
    }

    // Returns true for a reference to the whole schema or to one of its definitions, which are checked
    // themselves.
    bool is_reference(std::string_view text) const {
        if (text == "#") return true;
        for (const std::string_view list : {"$defs", "definitions"}) {
            const std::string prefix = "#/" + std::string(list) + "/";
            // The rest is a name, in which a JSON pointer would write these characters in another way.
            if (!text.starts_with(prefix) ||
                text.find_first_of("~%/", prefix.size()) != std::string_view::npos)
                continue;
            const json::value* const definitions =
                root_->is_object() ? root_->get_object().if_contains(list) : nullptr;
            return definitions != nullptr && definitions->is_object() &&
                   definitions->get_object().contains(text.substr(prefix.size()));
        }
        return false;
    }

    void check_pattern(const json::value& value, const std::string& place) {
        if (!value.is_string()) return fail_value("pattern", place, "a string");
        const auto regex = parse_regex(value.get_string(), RegexScope::part_of_text);
        if (!regex) fail("in the \"pattern\" at " + place + ", " + regex.error().message);
    }

    void check_type(const json::value& value, const std::string& place) {
        const auto is_type = [](const json::value& type) {
            return type.is_string() &&
                   std::ranges::find(type_names, std::string_view(type.get_string())) != type_names.end();
        };
        const bool is_list = value.is_array() && !value.get_array().empty() &&
                             value.get_array().size() <= type_names.size() &&
                             std::ranges::all_of(value.get_array(), is_type);
        if (!is_list && !is_type(value))
            fail_value("type", place, "the name of a JSON type, or a list of different ones");
    }

    void check_branches(const SchemaKeyword& keyword, const json::value& value, const std::string& place,
                        std::size_t depth) {
        if (!value.is_array() || value.get_array().empty() || value.get_array().size() > max_branches)
            return fail_value(keyword.name, place,
                              "a list of 1 to " + std::to_string(max_branches) + " schemas");
        const json::array& branches = value.get_array();
        if (keyword.name == "allOf" && branches.size() > 1)
            return fail("\"allOf\" at " + place + " with more than one schema is not supported");
        for (std::size_t i = 0; i < branches.size(); ++i)
            check_schema(branches[i], place + "/" + std::string(keyword.name) + "/" + std::to_string(i),
                         depth + 1);
        if (keyword.name != "oneOf" || problem_) return;
        const std::vector<Branch> parts(branches.begin(), branches.end());
        for (std::size_t i = 0; i < parts.size(); ++i) {
            for (std::size_t j = i + 1; j < parts.size(); ++j) {
                if (are_disjoint(parts[i], parts[j])) continue;
                return fail("\"oneOf\" at " + place +
                            " is supported only if its schemas exclude each other by " +
                            "their types or by a required property with different constants; use anyOf");
            }
        }
    }

    void check_combination(const json::object& schema, const std::string& place) {
        for (const std::string_view name : replacing) {
            if (!schema.contains(name)) continue;
            for (const auto& member : schema) {
                const KeywordKind kind = find_keyword(member.key())->kind;
                if (member.key() == name || kind == KeywordKind::annotation ||
                    kind == KeywordKind::definitions)
                    continue;
                if (member.key() == "type" && (name == "const" || name == "enum")) continue;
                return fail(quoted(member.key()) + " beside " + quoted(name) + " at " + place +
                            " is not supported");
            }
        }
        check_values(schema, place);
        if (auto problem = why_numbers_not_supported(schema, place)) fail(*std::move(problem));
        check_sizes(schema, place);
        const json::value* const required = schema.if_contains("required");
        const json::value* const others = schema.if_contains("additionalProperties");
        if (required == nullptr || others == nullptr || *others != false) return;
        const json::value* const properties = schema.if_contains("properties");
        for (const json::value& name : required->get_array()) {
            if (properties == nullptr || !properties->get_object().contains(name.get_string()))
                return fail("\"required\" at " + place + " names " + quoted(name.get_string()) +
                            ", which the object may not have");
        }
    }

    void check_sizes(const json::object& schema, const std::string& place) {
        const auto prefix = [&] {
            const json::value* const first = schema.if_contains("prefixItems");
            return first == nullptr ? std::size_t{0} : first->get_array().size();
        }();
        const auto max_items = number_of(schema, "maxItems");
        const auto min_items = number_of(schema, "minItems");
        if (number_of(schema, "minLength").value_or(0) > number_of(schema, "maxLength").value_or(max_bound))
            return fail("\"minLength\" at " + place + " is greater than \"maxLength\"");
        if (min_items.value_or(0) > max_items.value_or(max_bound))
            return fail("\"minItems\" at " + place + " is greater than \"maxItems\"");
        if (max_items && *max_items < static_cast<double>(prefix))
            return fail("\"maxItems\" at " + place + " is less than the number of \"prefixItems\"");
        const json::value* const items = schema.if_contains("items");
        const bool has_others = items == nullptr ? prefix == 0 : *items != false;
        if (!has_others && min_items.value_or(0) > static_cast<double>(prefix))
            return fail("\"minItems\" at " + place + " is greater than the number of possible items");
    }

    // The values of `const` and `enum` must have the type beside them.
    void check_values(const json::object& schema, const std::string& place) {
        const auto types = types_of(schema);
        if (types.empty()) return;
        const auto check = [&](const json::value& value) {
            const bool fits = std::ranges::any_of(types, [&](auto type) { return has_type(value, type); });
            if (!fits) fail("a value at " + place + " does not have the type beside it");
        };
        if (const auto* const constant = schema.if_contains("const")) check(*constant);
        if (const auto* const values = schema.if_contains("enum"))
            for (const json::value& value : values->get_array()) check(value);
    }

    const json::value* root_ = nullptr;
    std::optional<std::string> problem_;
    std::size_t num_schemas_ = 0;
};

// Of the schema, or of each schema of a list.
void remove_annotations(json::value& schema) {
    if (schema.is_array())
        for (json::value& item : schema.get_array()) remove_annotations(item);
    if (!schema.is_object()) return;
    json::object& object = schema.get_object();
    for (auto member = object.begin(); member != object.end();) {
        const SchemaKeyword& keyword = *find_keyword(member->key());
        if (keyword.kind == KeywordKind::annotation || keyword.name == "$id") {
            member = object.stable_erase(member);
            continue;
        }
        if (keyword.kind == KeywordKind::schemas || keyword.kind == KeywordKind::definitions) {
            for (auto& inner : member->value().get_object()) remove_annotations(inner.value());
        } else if (keyword.kind == KeywordKind::schema || keyword.kind == KeywordKind::branches ||
                   keyword.kind == KeywordKind::prefix) {
            remove_annotations(member->value());
        }
        ++member;
    }
}

}  // namespace

std::string without_annotations(json::value schema) {
    remove_annotations(schema);
    return json::serialize(schema);
}

std::optional<std::string> why_not_supported(const json::value& schema) {
    return Checker().check(schema);
}

}  // namespace solard
