#include "inference/grammar/schema_grammar.hpp"

#include <grammar_builder.h>
#include <grammar_functor.h>
#include <json_schema_converter.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/grammar/json_schema_keywords.hpp"
#include "inference/grammar/schema_numbers.hpp"

namespace solard {
namespace {

namespace json = boost::json;
using xgrammar::GrammarBuilder;
using xgrammar::SchemaSpec;
using xgrammar::SchemaSpecPtr;

// The library writes a repetition of up to this many parts out in full.
constexpr int max_written_out = 128;

// Returns the value as the library writes it; it would change large integers.
std::string library_text(const json::value& value) {
    if (value.is_double()) return picojson::value(value.get_double()).serialize();
    std::string text;
    if (const auto* const list = value.if_array()) {
        for (const json::value& item : *list) text += (text.empty() ? "" : ",") + library_text(item);
        return '[' + text + ']';
    }
    if (const auto* const object = value.if_object()) {
        for (const auto& [name, member] : *object)
            text += (text.empty() ? "" : ",") + json::serialize(name) + ':' + library_text(member);
        return '{' + text + '}';
    }
    return json::serialize(value);
}

const json::value* find(const json::object& schema, std::string_view keyword) {
    return schema.if_contains(keyword);
}

// Translates a schema into the library's form of it.
class SchemaTranslator {
  public:
    explicit SchemaTranslator(const json::value& root) : root_(root) {}

    SchemaSpecPtr translate(const json::value& schema) {
        if (!schema.is_object()) return any();
        const json::object& object = schema.get_object();
        if (const auto* reference = find(object, "$ref"))
            return SchemaSpec::Make(xgrammar::RefSpec{std::string(reference->get_string())});
        if (const auto* constant = find(object, "const"))
            return SchemaSpec::Make(xgrammar::ConstSpec{library_text(*constant)});
        if (const auto* values = find(object, "enum")) {
            xgrammar::EnumSpec spec;
            for (const json::value& value : values->get_array())
                spec.json_values.push_back(library_text(value));
            return SchemaSpec::Make(std::move(spec));
        }
        // The branches of oneOf exclude each other.
        for (const std::string_view keyword : {"anyOf", "oneOf", "allOf"}) {
            const auto* branches = find(object, keyword);
            if (branches == nullptr) continue;
            xgrammar::AnyOfSpec spec;
            for (const json::value& branch : branches->get_array()) spec.options.push_back(translate(branch));
            return SchemaSpec::Make(std::move(spec));
        }
        const auto types = types_of(object);
        if (types.empty()) return any();
        xgrammar::TypeArraySpec spec;
        for (const std::string_view type : types)
            if (auto of_this_type = of_type(object, type))
                spec.type_schemas.push_back(std::move(of_this_type));
        if (spec.type_schemas.empty()) throw std::runtime_error("no number is within the bounds");
        if (spec.type_schemas.size() == 1) return spec.type_schemas.front();
        return SchemaSpec::Make(std::move(spec));
    }

    // Returns the definition to which the reference leads.
    SchemaSpecPtr resolve(const std::string& reference) {
        const auto known = definitions_.find(reference);
        if (known != definitions_.end()) return known->second;
        const json::value* target = &root_;
        if (reference != "#") {
            const std::size_t slash = reference.find('/', 2);
            target = &root_.get_object()
                          .at(reference.substr(2, slash - 2))
                          .get_object()
                          .at(reference.substr(slash + 1));
        }
        return definitions_[reference] = translate(*target);
    }

  private:
    // The library has rules of its own for schemas with these keys.
    static SchemaSpecPtr any() { return SchemaSpec::Make(xgrammar::AnySpec{}, "{}"); }
    template <class Spec>
    static SchemaSpecPtr plain(std::string_view type) {
        return SchemaSpec::Make(Spec{}, R"({"type":")" + std::string(type) + "\"}");
    }

    static bool has_keyword_of(const json::object& schema, std::string_view type) {
        return std::ranges::any_of(
            schema, [&](const auto& member) { return restricts(*find_keyword(member.key()), type); });
    }

    // Returns null if no number of this type is within the bounds.
    SchemaSpecPtr of_type(const json::object& schema, std::string_view type) {
        if (type == "boolean") return plain<xgrammar::BooleanSpec>(type);
        if (type == "null") return plain<xgrammar::NullSpec>(type);
        if (type == "array") return SchemaSpec::Make(list(schema));
        if (type == "object") return SchemaSpec::Make(object(schema));
        const bool is_plain = !has_keyword_of(schema, type);
        if (type == "string") return is_plain ? plain<xgrammar::StringSpec>(type) : string(schema);
        if (type == "integer") return is_plain ? plain<xgrammar::IntegerSpec>(type) : integer(schema);
        return is_plain ? plain<xgrammar::NumberSpec>(type) : number(schema);
    }

    xgrammar::ArraySpec list(const json::object& schema) {
        xgrammar::ArraySpec spec;
        if (const auto* first = find(schema, "prefixItems"))
            for (const json::value& item : first->get_array()) spec.prefix_items.push_back(translate(item));
        const auto* items = find(schema, "items");
        // With prefixItems, other items are written only if the schema describes them.
        spec.allow_additional_items =
            items != nullptr ? *items != false : find(schema, "prefixItems") == nullptr;
        if (spec.allow_additional_items) spec.additional_items = items != nullptr ? translate(*items) : any();
        if (const auto* count = find(schema, "minItems")) spec.min_items = count->get_int64();
        if (const auto* count = find(schema, "maxItems")) spec.max_items = count->get_int64();
        return spec;
    }

    xgrammar::ObjectSpec object(const json::object& schema) {
        xgrammar::ObjectSpec spec;
        spec.allow_unevaluated_properties = false;
        const auto* properties = find(schema, "properties");
        const auto* additional = find(schema, "additionalProperties");
        const auto others = [&] { return additional == nullptr ? any() : translate(*additional); };
        if (properties != nullptr)
            for (const auto& property : properties->get_object())
                spec.properties.push_back({property.key(), translate(property.value())});
        if (const auto* required = find(schema, "required")) {
            for (const json::value& name : required->get_array()) {
                const std::string text(name.get_string());
                const bool is_new = spec.required.insert(text).second;
                if (is_new && (properties == nullptr || !properties->get_object().contains(text)))
                    spec.properties.push_back({text, others()});
            }
        }
        // `properties` without names says that there are none, unless others are asked for.
        const bool has_others = additional != nullptr ? *additional != false : properties == nullptr;
        if (spec.properties.empty() && has_others) {
            spec.allow_additional_properties = true;
            spec.additional_properties_schema = others();
        }
        return spec;
    }

    static SchemaSpecPtr integer(const json::object& schema) {
        const NumberRange range = range_of(schema, true);
        if (range.is_empty()) return nullptr;
        xgrammar::IntegerSpec spec;
        if (std::isfinite(range.low)) spec.minimum = static_cast<std::int64_t>(range.low);
        if (std::isfinite(range.high)) spec.maximum = static_cast<std::int64_t>(range.high);
        if (const auto divisor = number_of(schema, "multipleOf"))
            spec.multiple_of = static_cast<std::int64_t>(*divisor);
        return SchemaSpec::Make(spec);
    }

    static SchemaSpecPtr number(const json::object& schema) {
        const NumberRange range = range_of(schema, false);
        xgrammar::NumberSpec spec;
        if (std::isfinite(range.low))
            (range.excludes_low ? spec.exclusive_minimum : spec.minimum) = range.low;
        if (std::isfinite(range.high))
            (range.excludes_high ? spec.exclusive_maximum : spec.maximum) = range.high;
        // With six decimals, a range without its ends can be empty.
        constexpr double smallest = 1.5e-6;
        if (range.is_empty() ||
            (range.excludes_low && range.excludes_high && range.high - range.low < smallest))
            return nullptr;
        return SchemaSpec::Make(spec);
    }

    static SchemaSpecPtr string(const json::object& schema) {
        xgrammar::StringSpec spec;
        if (const auto* pattern = find(schema, "pattern")) spec.pattern = std::string(pattern->get_string());
        if (const auto* length = find(schema, "minLength")) spec.min_length = length->to_number<int>();
        if (const auto* length = find(schema, "maxLength")) spec.max_length = length->to_number<int>();
        // A format is an annotation, which gives way to what is checked.
        const auto* format = find(schema, "format");
        const bool is_restricted = spec.pattern || spec.min_length != 0 || spec.max_length != -1;
        if (format != nullptr && !is_restricted) spec.format = std::string(format->get_string());
        return SchemaSpec::Make(std::move(spec));
    }

    const json::value& root_;
    std::map<std::string, SchemaSpecPtr> definitions_;
};

// How a character is written in JSON if it cannot stand for itself.
std::string escaped(char32_t c) {
    constexpr auto short_forms = std::to_array<std::pair<char32_t, std::string_view>>({{'"', "\\\""},
                                                                                       {'\\', "\\\\"},
                                                                                       {'\b', "\\b"},
                                                                                       {'\f', "\\f"},
                                                                                       {'\n', "\\n"},
                                                                                       {'\r', "\\r"},
                                                                                       {'\t', "\\t"}});
    for (const auto& [character, text] : short_forms)
        if (c == character) return std::string(text);
    constexpr std::string_view hex = "0123456789abcdef";
    return std::string("\\u00") + hex[c / 16] + hex[c % 16];
}

const CharacterSet escaped_characters{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};

bool contains(const CharacterSet& set, char32_t c) {
    return std::ranges::any_of(
        set, [&](const CharacterRange& range) { return range.first <= c && c <= range.last; });
}

int class_of(GrammarBuilder& builder, const CharacterSet& characters, bool is_negated = false) {
    std::vector<GrammarBuilder::CharacterClassElement> elements;
    for (const CharacterRange& range : characters)
        elements.push_back({static_cast<std::int32_t>(range.first), static_cast<std::int32_t>(range.last)});
    return builder.AddCharacterClass(elements, is_negated);
}

// Adds a rule for each state and returns that of the first one. `end` is what follows the text, and part of
// the rules, so that they decide about most tokens alone.
int add_rules(GrammarBuilder& builder, const TextAutomaton& automaton, const std::string& name, bool in_json,
              int end) {
    std::vector<int> rules;
    rules.reserve(automaton.states.size());
    for (std::size_t i = 0; i < automaton.states.size(); ++i)
        rules.push_back(builder.AddEmptyRuleWithHint(name + "_state"));
    for (std::size_t i = 0; i < automaton.states.size(); ++i) {
        std::vector<int> choices;
        if (automaton.states[i].accepts) choices.push_back(end);
        for (const auto& transition : automaton.states[i].transitions) {
            const int target = builder.AddRuleRef(rules[transition.target]);
            CharacterSet plain = transition.characters;
            if (in_json) {
                plain = complement(unite(complement(plain), escaped_characters));
                for (const CharacterRange& range : escaped_characters)
                    for (char32_t c = range.first; c <= range.last; ++c)
                        if (contains(transition.characters, c))
                            choices.push_back(
                                builder.AddSequence({builder.AddByteString(escaped(c)), target}));
            }
            if (!plain.empty()) choices.push_back(builder.AddSequence({class_of(builder, plain), target}));
        }
        builder.UpdateRuleBody(rules[i], builder.AddChoices(choices));
    }
    return rules.front();
}

// The library's own rules for strings of a certain length allow control characters, which JSON does not, and
// those for patterns do not know the escapes of JSON.
class SchemaConverter final : public xgrammar::JSONSchemaConverter {
  public:
    explicit SchemaConverter(SchemaTranslator& translator)
        : JSONSchemaConverter(std::nullopt, std::nullopt, false, std::nullopt,
                              [&translator](const std::string& reference, const std::string&) {
                                  return translator.resolve(reference);
                              }) {}

  private:
    std::int32_t GenerateString(const xgrammar::StringSpec& spec, const std::string& name) override {
        if (spec.pattern) return matching(*spec.pattern, {spec.min_length, spec.max_length}, name);
        if (spec.min_length == 0 && spec.max_length == -1)
            return JSONSchemaConverter::GenerateString(spec, name);
        if (spec.max_length == -1 && spec.min_length <= max_written_out) return long_enough(spec.min_length);
        // Without escapes, the library counts the characters instead of writing them out.
        const int character = plain_character();
        return Sequence({ByteString("\""),
                         Repeat(name + "_characters", character, spec.min_length, spec.max_length),
                         ByteString("\"")});
    }

    // The library counts only the characters of a negated class. It takes surrogates for characters.
    int plain_character() {
        static const CharacterSet excluded = unite(escaped_characters, {{0xd800, 0xdfff}});
        return class_of(builder_, excluded, true);
    }

    // A number of characters, and then any string.
    int long_enough(int min_length) {
        if (character_rule_ == -1) {
            // A pair of \u escapes could be one character.
            const int escape = builder_.AddCharacterClass({{'"', '"'},
                                                           {'\\', '\\'},
                                                           {'/', '/'},
                                                           {'b', 'b'},
                                                           {'f', 'f'},
                                                           {'n', 'n'},
                                                           {'r', 'r'},
                                                           {'t', 't'}});
            character_rule_ = builder_.AddRuleWithHint(
                "character", Choice({plain_character(), Sequence({ByteString("\\"), escape})}));
        }
        std::vector<int> parts{ByteString("\"")};
        parts.insert(parts.end(), static_cast<std::size_t>(min_length), RuleRef(character_rule_));
        parts.push_back(RuleRef(kBasicStringSub));
        return Sequence(parts);
    }

    int matching(const std::string& pattern, TextLength length, const std::string& name) {
        const auto regex = parse_regex(pattern, RegexScope::part_of_text);
        if (!regex) throw std::runtime_error(regex.error().message);
        const auto automaton = make_automaton(*regex, length);
        if (!automaton)
            throw std::runtime_error("the pattern cannot be followed: " + automaton.error().message);
        const int first_rule = builder_.NumRules();
        const int begin = add_rules(builder_, *automaton, name, true, ByteString("\""));
        // What follows a string, as at the library's rule for any string.
        const int after =
            Sequence({WhitespaceExpression(),
                      builder_.AddCharacterClass({{',', ','}, {'}', '}'}, {']', ']'}, {':', ':'}})});
        for (int rule = first_rule; rule < builder_.NumRules(); ++rule)
            builder_.UpdateLookaheadAssertion(rule, after);
        return Sequence({ByteString("\""), RuleRef(begin)});
    }

    int character_rule_ = -1;
};

}  // namespace

xgrammar::Grammar schema_grammar(const json::value& schema) {
    SchemaTranslator translator(schema);
    const SchemaSpecPtr spec = translator.translate(schema);
    return xgrammar::GrammarNormalizer::Apply(SchemaConverter(translator).Convert(spec));
}

xgrammar::Grammar automaton_grammar(const TextAutomaton& automaton) {
    GrammarBuilder builder;
    const int begin = add_rules(builder, automaton, "text", false, builder.AddEmptyStr());
    const int root = builder.AddRule("root", builder.AddRuleRef(begin));
    return xgrammar::GrammarNormalizer::Apply(builder.Get(root));
}

}  // namespace solard
