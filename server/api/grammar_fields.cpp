#include "server/api/grammar_fields.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/grammar/grammar_text.hpp"
#include "inference/grammar/json_schema.hpp"
#include "inference/grammar/regex.hpp"
#include "inference/text/json_text.hpp"
#include "server/api/json.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;
using Kind = GrammarSource::Kind;

constexpr std::size_t max_grammar_bytes = 64 << 10;  // of a schema, or of all texts together
constexpr std::size_t max_choices_of_text = 1000;

// Collects what a request asks for, and refuses a second restriction.
class Grammars {
  public:
    Grammars(FieldReader& fields, std::string prefix) : fields_(fields), prefix_(std::move(prefix)) {}

    void add(Kind kind, std::string_view text, std::string_view field) {
        if (!can_compile_grammars())
            return fields_.fail(Error{
                errc::unsupported_parameter,
                path_of(field) + " needs XGrammar, with which this server was not built.", path_of(field)});
        if (!check_size(text, field)) return;
        if (found_)
            return fields_.fail(
                wrong(field, "absent, because " + found_->field + " restricts the answer already"));
        found_ = AnswerGrammar{{kind, std::string(text)}, path_of(field), {}};
    }
    // `value` is a schema, or a text that holds one.
    void add_schema(std::string_view field, const json::value* value) {
        if (value == nullptr || value->is_null()) return;
        json::value schema = *value;
        if (value->is_string()) {
            if (!check_size(value->get_string(), field)) return;
            auto parsed = parse_json(value->get_string());
            if (!parsed) return fields_.fail(wrong(field, "a JSON Schema, but it is not JSON"));
            schema = *std::move(parsed);
        }
        if (!schema.is_object()) return fields_.fail(wrong_field(path_of(field), "a JSON Schema", value));
        if (!check_size(json::serialize(schema), field)) return;
        if (const auto problem = why_not_supported(schema))
            return refuse(field, "a schema that cannot be enforced", *problem);
        add(Kind::json_schema, without_annotations(std::move(schema)), field);
    }
    void add_choice(std::string_view field, const json::value* value) {
        if (value == nullptr || value->is_null()) return;
        const auto* list = value->if_array();
        if (list == nullptr || list->empty() || list->size() > max_choices_of_text ||
            !std::ranges::all_of(*list, [](const json::value& text) { return text.is_string(); }))
            return fields_.fail(wrong_field(
                path_of(field), "a list of 1 to " + std::to_string(max_choices_of_text) + " strings", value));
        std::string grammar = "root ::= ";
        for (const json::value& text : *list) {
            if (&text != list->begin()) grammar += " | ";
            append_literal(grammar, text.get_string());
        }
        add(Kind::gbnf, grammar, field);
    }
    void add_regex(std::string_view field, const json::value* value) {
        const auto text = text_of(field, value);
        if (!text) return;
        if (const auto regex = parse_regex(*text, RegexScope::whole_text); !regex)
            return refuse(field, "a regular expression that cannot be followed", regex.error().message);
        add(Kind::regex, *text, field);
    }
    // A grammar in the notation of llama.cpp, or, if `may_be_lark` is true, in that of Lark.
    void add_grammar(std::string_view field, const json::value* value, bool may_be_lark) {
        const auto text = text_of(field, value);
        if (!text) return;
        const bool is_lark = may_be_lark && text->find("::=") == std::string_view::npos;
        if (const auto problem = is_lark ? why_lark_not_supported(*text) : why_gbnf_not_supported(*text))
            return refuse(field, "a grammar that cannot be followed", *problem);
        add(is_lark ? Kind::lark : Kind::gbnf, *text, field);
    }
    std::optional<AnswerGrammar> take() { return std::move(found_); }

  private:
    // Returns the text of the field, or nothing if it says nothing or is wrong.
    std::optional<std::string_view> text_of(std::string_view field, const json::value* value) {
        if (value == nullptr || value->is_null()) return std::nullopt;
        if (!value->is_string()) {
            fields_.fail(wrong_field(path_of(field), "a string", value));
            return std::nullopt;
        }
        const std::string_view text = value->get_string();
        if (text.empty() || !check_size(text, field)) return std::nullopt;
        return text;
    }
    void refuse(std::string_view field, std::string_view what, std::string_view problem) {
        fields_.fail(Error{errc::invalid_value,
                           path_of(field) + " has " + std::string(what) + ": " + shown(problem) + ".",
                           path_of(field)});
    }
    bool check_size(std::string_view text, std::string_view field) {
        if (text.size() <= max_grammar_bytes) return true;
        fields_.fail(wrong(field, "at most " + std::to_string(max_grammar_bytes) + " bytes long"));
        return false;
    }
    std::string path_of(std::string_view field) const { return prefix_ + std::string(field); }
    Error wrong(std::string_view field, const std::string& expectation) const {
        return {errc::invalid_value, path_of(field) + " must be " + expectation + ".", path_of(field)};
    }
    static void append_literal(std::string& out, std::string_view text) {
        constexpr std::string_view hex = "0123456789abcdef";
        out += '"';
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f) {
                out += "\\x";
                out += hex[byte >> 4U];
                out += hex[byte & 15U];
                continue;
            }
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }

    FieldReader& fields_;
    std::string prefix_;
    std::optional<AnswerGrammar> found_;
};

// Reads the type of a format and the rest of it. If `nested` is true, the schema is in a member of its own.
void add_format(Grammars& grammars, FieldReader& format, std::string_view field, bool nested) {
    const auto type = format.string("type");
    if (!type) return format.error() ? void() : format.fail("type", "text, json_object or json_schema");
    if (*type == "text") return;
    if (*type == "json_object") {
        const json::value* const schema = format.object().if_contains("schema");  // llama.cpp
        format.ignore("schema");
        if (schema != nullptr && !schema->is_null()) return grammars.add_schema(field, schema);
        return grammars.add(Kind::json_object, "", field);
    }
    if (*type != "json_schema") return format.fail("type", "text, json_object or json_schema");
    const json::object* holder = &format.object();
    if (nested) {
        holder = format.object("json_schema");
        if (holder == nullptr) return format.error() ? void() : format.fail("json_schema", "an object");
    }
    FieldReader inner(*holder, std::string(field) + (nested ? ".json_schema." : "."));
    for (const char* name : {"name", "description", "strict", "type", "schema"}) inner.ignore(name);
    for (const char* name : {"name", "description", "strict", "schema"}) format.ignore(name);
    const json::value* const schema = holder->if_contains("schema");
    if (schema == nullptr || schema->is_null()) return grammars.add(Kind::json_object, "", field);
    grammars.add_schema(field, schema);
}

}  // namespace

std::optional<AnswerGrammar> parse_grammar_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown) {
    Grammars grammars(fields, "");
    const auto value_of = [&](std::string_view name) {
        fields.ignore(name);
        return fields.object().if_contains(name);
    };
    if (const auto* const format = fields.object("response_format")) {
        FieldReader inner(*format, "response_format.");
        add_format(grammars, inner, "response_format", true);
        check_other_fields(inner, kind, unknown, "response_format.");
        if (const auto& problem = inner.error()) fields.fail(*problem);
    }
    if (const auto* const outputs = fields.object("structured_outputs")) {
        FieldReader inner(*outputs, "structured_outputs.");
        Grammars nested(inner, "structured_outputs.");
        const auto inner_value = [&](std::string_view name) {
            inner.ignore(name);
            return outputs->if_contains(name);
        };
        nested.add_schema("json", inner_value("json"));
        nested.add_choice("choice", inner_value("choice"));
        nested.add_regex("regex", inner_value("regex"));
        nested.add_grammar("grammar", inner_value("grammar"), true);
        if (inner.boolean("json_object").value_or(false)) nested.add(Kind::json_object, "", "json_object");
        check_other_fields(inner, kind, unknown, "structured_outputs.");
        if (const auto& problem = inner.error()) fields.fail(*problem);
        if (const auto found = nested.take())
            grammars.add(found->source.kind, found->source.text, "structured_outputs");
    }
    grammars.add_schema("guided_json", value_of("guided_json"));
    grammars.add_choice("guided_choice", value_of("guided_choice"));
    grammars.add_regex("guided_regex", value_of("guided_regex"));
    grammars.add_grammar("guided_grammar", value_of("guided_grammar"), true);
    grammars.add_schema("json_schema", value_of("json_schema"));
    grammars.add_grammar("grammar", value_of("grammar"), false);
    return grammars.take();
}

std::optional<AnswerGrammar> parse_text_format(FieldReader& text, UnknownFields unknown) {
    Grammars grammars(text, "text.");
    if (const auto* const format = text.object("format")) {
        FieldReader inner(*format, "text.format.");
        add_format(grammars, inner, "format", false);
        check_other_fields(inner, BodyKind::responses, unknown, "text.format.");
        if (const auto& problem = inner.error()) text.fail(*problem);
        auto found = grammars.take();
        if (found) found->format = json::serialize(*format);
        return found;
    }
    return std::nullopt;
}

}  // namespace solard::server
