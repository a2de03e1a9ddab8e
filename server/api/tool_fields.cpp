#include "server/api/tool_fields.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "inference/grammar/json_schema.hpp"
#include "inference/grammar/regex.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

bool says(const json::value* value, std::string_view text) {
    return value != nullptr && value->is_string() && std::string_view(value->get_string()) == text;
}

std::string_view text_or_empty(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

bool is_tool_name(std::string_view name) {
    return !name.empty() && name.size() <= max_tool_name && std::ranges::all_of(name, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
               c == '-' || c == '.' || c == ':' || c == '/';
    });
}

class ToolReader {
  public:
    ToolReader(FieldReader& fields, BodyKind kind) : fields_(fields), nested_(kind != BodyKind::responses) {}

    void read_tools(const json::array& list) {
        if (list.size() > max_tools)
            return fields_.fail("tools", "a list of at most " + std::to_string(max_tools) + " tools");
        for (std::size_t i = 0; i < list.size() && !fields_.error(); ++i)
            read_tool(list[i], "tools[" + std::to_string(i) + "]");
    }

    void read_choice(const json::value* choice) {
        if (choice == nullptr || choice->is_null() || says(choice, "auto") || says(choice, "none")) return;
        if (says(choice, "required") || says(choice, "any")) {
            tools_.must_call = true;
        } else if (const auto* const object = choice->if_object()) {
            read_choice_object(*object);
        } else {
            wrong_choice(choice);
        }
    }

    Tools take() { return std::move(tools_); }

  private:
    // Returns the object that has the members of a tool of the given type, or null.
    const json::object* members_of(const json::object& tool, std::string_view type) const {
        if (!nested_) return &tool;
        const auto* const value = tool.if_contains(type);
        return value != nullptr ? value->if_object() : nullptr;
    }

    void fail(const std::string& path, std::string_view expectation, const json::value* value) {
        fields_.fail(wrong_field(path, expectation, value));
    }

    void read_tool(const json::value& value, const std::string& path) {
        if (!value.is_object()) return fail(path, "an object", &value);
        const json::object& object = value.get_object();
        const std::string_view type = text_or_empty(object, "type");
        if (type != "function" && type != "custom") return refuse_type(object.if_contains("type"), path);
        const json::object* const members = members_of(object, type);
        const std::string inner = path + (nested_ ? "." + std::string(type) : "");
        if (members == nullptr) return fail(inner, "an object", object.if_contains(type));
        const std::string_view name = text_or_empty(*members, "name");
        if (!is_tool_name(name))
            return fail(inner + ".name", "a name of 1 to 128 letters, digits, '_', '-', '.', ':' and '/'",
                        members->if_contains("name"));
        if (tools_.find(name) != nullptr)
            return fields_.fail(
                {errc::invalid_value, inner + ".name is the name of another tool already.", inner + ".name"});
        const bool is_custom = type == "custom";
        json::value schema = is_custom ? custom_schema(*members, inner) : function_schema(*members, inner);
        if (fields_.error()) return;
        json::object described{{"name", name}};
        if (const auto text = text_or_empty(*members, "description"); !text.empty())
            described["description"] = text;
        described["parameters"] = schema;
        tools_.described.push_back({{"type", "function"}, {"function", std::move(described)}});
        Tool tool{std::string(name), is_custom, without_annotations(std::move(schema))};
        num_bytes_ += tool.name.size() + tool.schema.size();
        if (num_bytes_ > max_tool_schemas)
            return fields_.fail("tools", "shorter: their schemas may have at most " +
                                             std::to_string(max_tool_schemas) + " bytes together");
        tools_.callable.push_back(std::move(tool));
    }

    void refuse_type(const json::value* type, const std::string& path) {
        if (type == nullptr || !type->is_string()) return fail(path + ".type", "function or custom", type);
        fields_.fail({errc::unsupported_parameter,
                      path + " has the type '" + shown(type->get_string()) +
                          "', which this server cannot run. Only tools of the types function and custom, "
                          "which the client runs, are supported; leave this tool out of the request, or "
                          "switch it off in the client.",
                      path + ".type"});
    }

    // The text of a custom tool is the only argument of a call.
    json::value custom_schema(const json::object& members, const std::string& path) {
        json::object input{{"type", "string"}};
        const auto* const format = members.if_contains("format");
        if (format != nullptr && !format->is_null()) read_custom_format(*format, path + ".format", input);
        return {{"type", "object"},
                {"properties", {{"input", std::move(input)}}},
                {"required", json::array{"input"}},
                {"additionalProperties", false}};
    }

    void read_custom_format(const json::value& format, const std::string& path, json::object& input) {
        const auto* const object = format.if_object();
        if (object != nullptr && says(object->if_contains("type"), "text")) return;
        const bool is_grammar = object != nullptr && says(object->if_contains("type"), "grammar");
        if (!is_grammar)
            return fail(path + ".type", "text or grammar", object ? object->if_contains("type") : &format);
        // Chat Completions have an object in between.
        const auto* const nested = object->if_contains("grammar");
        const json::object& grammar =
            nested != nullptr && nested->is_object() ? nested->get_object() : *object;
        if (!says(grammar.if_contains("syntax"), "regex"))
            return fields_.fail({errc::unsupported_parameter,
                                 path +
                                     ".syntax must be regex: this server cannot hold the text of a tool to "
                                     "another kind of grammar.",
                                 path + ".syntax"});
        const auto* const definition = grammar.if_contains("definition");
        if (definition == nullptr || !definition->is_string())
            return fail(path + ".definition", "a regular expression", definition);
        auto regex = parse_regex(definition->get_string(), RegexScope::whole_text);
        const std::string pattern = as_pattern(definition->get_string());
        if (regex) regex = parse_regex(pattern, RegexScope::part_of_text);
        if (!regex)
            return fields_.fail(
                {errc::invalid_value,
                 path + ".definition cannot be followed: " + shown(regex.error().message) + ".",
                 path + ".definition"});
        input["pattern"] = pattern;
    }

    json::value function_schema(const json::object& members, const std::string& path) {
        const std::string place = path + ".parameters";
        const auto* const parameters = members.if_contains("parameters");
        if (parameters == nullptr || parameters->is_null())
            return {{"type", "object"}, {"properties", json::object()}};
        if (!parameters->is_object()) {
            fail(place, "a JSON Schema", parameters);
            return nullptr;
        }
        json::value whole = without_reference(parameters->get_object());
        json::object& schema = whole.get_object();
        if (!schema.contains("type") && !schema.contains("anyOf") && !schema.contains("$ref"))
            schema["type"] = "object";
        if (!says(schema.if_contains("type"), "object")) {
            fields_.fail(
                {errc::invalid_value, place + R"( must be a JSON Schema with "type": "object".)", place});
        } else if (const auto problem = why_not_supported(whole)) {
            fields_.fail({errc::invalid_value,
                          place + " has a schema that cannot be enforced: " + shown(*problem) + ".", place});
        }
        return whole;
    }

    // Returns the schema with the definition to which it refers as a whole, if it does. Generators write such
    // schemas for types that contain themselves.
    static json::object without_reference(const json::object& schema) {
        const auto* const reference = schema.if_contains("$ref");
        if (reference == nullptr || !reference->is_string()) return schema;
        for (const std::string list : {"$defs", "definitions"}) {
            const std::string prefix = "#/" + list + "/";
            const std::string_view text(reference->get_string());
            const auto* const definitions = schema.if_contains(list);
            if (!text.starts_with(prefix) || definitions == nullptr || !definitions->is_object()) continue;
            const auto* const target = definitions->get_object().if_contains(text.substr(prefix.size()));
            if (target == nullptr || !target->is_object()) continue;
            json::object whole = target->get_object();
            whole[list] = *definitions;
            return whole;
        }
        return schema;
    }

    void wrong_choice(const json::value* choice) {
        fields_.fail(
            wrong_field("tool_choice",
                        "none, auto, required, or an object that names one of the tools or, with the "
                        "type allowed_tools, some of them",
                        choice));
    }

    void read_choice_object(const json::object& choice) {
        const std::string_view type = text_or_empty(choice, "type");
        std::set<std::string, std::less<>> names;
        if (type == "allowed_tools") {
            const json::object* const members = members_of(choice, type);
            const auto* const list = members != nullptr ? members->if_contains("tools") : nullptr;
            if (list == nullptr || !list->is_array()) return wrong_choice(nullptr);
            const std::string_view mode = text_or_empty(*members, "mode");
            if (mode != "auto" && mode != "required") return wrong_choice(nullptr);
            tools_.must_call = mode == "required";
            if (list->get_array().empty()) return wrong_choice(nullptr);
            for (const json::value& item : list->get_array()) {
                if (!item.is_object() || !add_name(item.get_object(), names)) return wrong_choice(nullptr);
            }
        } else {
            tools_.must_call = true;
            if (!add_name(choice, names)) return wrong_choice(nullptr);
        }
        std::erase_if(tools_.callable, [&](const Tool& tool) { return !names.contains(tool.name); });
    }

    // Returns false unless the object names one of the tools.
    bool add_name(const json::object& object, std::set<std::string, std::less<>>& names) const {
        const std::string_view type = text_or_empty(object, "type");
        const json::object* const members = members_of(object, type);
        if (members == nullptr || (type != "function" && type != "custom")) return false;
        const Tool* const tool = tools_.find(text_or_empty(*members, "name"));
        if (tool == nullptr || tool->is_custom != (type == "custom")) return false;
        names.insert(tool->name);
        return true;
    }

    FieldReader& fields_;
    bool nested_;
    Tools tools_;
    std::size_t num_bytes_ = 0;
};

json::value tag_of(const Tool& tool, const ToolForm& form) {
    std::string begin(form.head);
    begin.append(tool.name).append(form.middle);
    return {{"type", "tag"},
            {"begin", begin},
            {"content", {{"type", "json_schema"}, {"json_schema", json::parse(tool.schema)}}},
            {"end", form.tail}};
}

}  // namespace

const Tool* Tools::find(std::string_view name) const {
    const auto found = std::ranges::find(callable, name, &Tool::name);
    return found != callable.end() ? &*found : nullptr;
}

ToolFields parse_tool_fields(FieldReader& fields, BodyKind kind) {
    ToolFields out;
    const json::array* const list = fields.array("tools");
    fields.ignore("tool_choice");
    const auto* const choice = fields.object().if_contains("tool_choice");
    out.shown.parallel = fields.boolean("parallel_tool_calls").value_or(true);
    if (list != nullptr) out.shown.tools = json::serialize(*list);
    if (choice != nullptr && !choice->is_null()) out.shown.choice = json::serialize(*choice);
    if (out.shown.tools.size() > max_shown_tools)
        fields.fail("tools", "at most " + std::to_string(max_shown_tools) + " bytes long");
    const bool has_tools = list != nullptr && !list->empty();
    if (!has_tools) {
        if (choice != nullptr && !choice->is_null() && !says(choice, "auto") && !says(choice, "none"))
            fields.fail("tool_choice", "none or auto if there are no tools");
        return out;
    }
    if (says(choice, "none")) return out;
    if (!can_compile_grammars() && kind != BodyKind::tokenize) {
        fields.fail({errc::unsupported_parameter,
                     "tools needs XGrammar, with which this server was not built.", "tools"});
        return out;
    }
    ToolReader reader(fields, kind);
    reader.read_tools(*list);
    if (fields.error()) return out;
    reader.read_choice(choice);
    if (fields.error()) return out;
    out.tools = reader.take();
    out.tools->parallel = out.shown.parallel;
    return out;
}

GrammarSource grammar_of_calls(const Tools& tools, const ToolForm& form, std::string_view text_schema) {
    json::array tags;
    for (const Tool& tool : tools.callable) tags.push_back(tag_of(tool, form));
    const bool is_only_one = !tools.parallel || !form.several;
    json::value format{{"tags", std::move(tags)}, {"stop_after_first", is_only_one}};
    json::object& members = format.get_object();
    const bool any_text = !tools.must_call && text_schema.empty();
    if (any_text) {
        members["type"] = "triggered_tags";
        members["triggers"] = json::array{form.trigger};
    } else {
        members["type"] = "tags_with_separator";
        members["separator"] = form.separator;
        members["at_least_one"] = true;
    }
    if (!tools.must_call && !any_text) {
        json::value text{{"type", "json_schema"}, {"json_schema", json::parse(text_schema)}};
        json::array elements{std::move(text), std::move(format)};
        format = {{"type", "or"}, {"elements", std::move(elements)}};
    }
    json::value tag{{"type", "structural_tag"}, {"format", std::move(format)}};
    return {GrammarSource::Kind::structural_tag, json::serialize(tag)};
}

}  // namespace solard::server
