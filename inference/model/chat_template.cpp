#include "inference/model/chat_template.hpp"

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>
#include <ctime>
#include <utility>
#include <vector>

#include "inference/model/builtin_templates.hpp"
#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"
#include "inference/model/tool_prompt.hpp"
#include "inference/template/template.hpp"
#include "inference/text/json_text.hpp"

namespace solard {

namespace {

struct Source {
    jinja::Template parsed;
    ToolForm tool_form;
};

}  // namespace

struct ChatTemplate::Parts {
    std::optional<Source> main;
    std::optional<Source> tool_use;      // for conversations with tools
    boost::json::object special_tokens;  // by the names of their variables
};

namespace {

namespace json = boost::json;

constexpr std::string_view advice = "; to use another template, set --chat-template";
constexpr auto special_token_names = std::to_array<std::string_view>(
    {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"});
constexpr auto other_reserved_names = std::to_array<std::string_view>(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template",
     "tokenize", "range", "dict", "namespace", "raise_exception", "strftime_now", "loop"});

std::string_view name_of(Role role) {
    switch (role) {
        case Role::system:
            return "system";
        case Role::user:
            return "user";
        case Role::tool:
            return "tool";
        case Role::assistant:
            break;
    }
    return "assistant";
}

// Returns the text of a token, which is a string, or an object with a `content`.
std::optional<std::string> token_text(const json::value& value) {
    const auto* object = value.if_object();
    const auto* content = object != nullptr ? object->if_contains("content") : &value;
    if (content == nullptr || !content->is_string()) return std::nullopt;
    return std::string(content->get_string());
}

// Returns the special tokens which tokenizer_config.json names. If it does not mention one of Llama's own
// tokens, that token has the name of Llama's tokenizer class, unless the file names another class.
json::object read_special_tokens(const json::object& config) {
    json::object tokens;
    const auto* tokenizer_class = config.if_contains("tokenizer_class");
    const bool is_llama = tokenizer_class == nullptr || !tokenizer_class->is_string() ||
                          std::string_view(tokenizer_class->get_string()).find("Llama") != std::string::npos;
    if (is_llama) tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
    for (const auto name : special_token_names) {
        const auto* value = config.if_contains(name);
        if (value == nullptr) continue;
        if (const auto text = token_text(*value)) {
            tokens[name] = *text;
        } else {
            tokens.erase(name);
        }
    }
    return tokens;
}

// `place` names the template within the file, in messages; it may be empty.
result<Source> parse(std::string_view source, const std::filesystem::path& file, std::string_view place) {
    auto parsed = jinja::Template::parse(source);
    if (parsed) return Source{*std::move(parsed), tool_form_of(source)};
    return bad_model(file, std::string(place) + parsed.error().message + std::string(advice));
}

result<Source> read_template(const std::filesystem::path& file) {
    const auto source = read_model_file(file, jinja::Limits{}.source_bytes);
    if (!source) return source.error();
    return parse(*source, file, {});
}

bool exists_in(const std::filesystem::path& file) {
    std::error_code ec;
    return std::filesystem::exists(file, ec);
}

std::optional<std::string> string_member(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(name) : nullptr;
    if (member == nullptr || !member->is_string()) return std::nullopt;
    return std::string(member->get_string());
}

constexpr std::string_view space = " \t\n\v\f\r";

// Cuts the prompt after the content of the last message, unless that is white space only. As in
// transformers, the content is looked for without the white space at its ends, which a template may remove.
// The template's own text, such as the end of a turn, is passed over.
result<MarkedText> cut_after(const MarkedText& prompt, std::string_view content) {
    const std::size_t first = content.find_first_not_of(space);
    if (first == std::string_view::npos) return prompt;
    const std::string_view no_lead = content.substr(first);
    const std::string_view trimmed = no_lead.substr(0, no_lead.find_last_not_of(space) + 1);
    std::size_t begin = prompt.bytes().rfind(trimmed);
    while (begin != std::string::npos && !prompt.is_untrusted(begin, trimmed.size()))
        begin = begin == 0 ? std::string::npos : prompt.bytes().rfind(trimmed, begin - 1);
    if (begin == std::string::npos)
        return Error{errc::invalid_request,
                     "The chat template does not put the last message into the prompt as it is, so an answer "
                     "cannot continue it."};
    const std::string_view rest = std::string_view(prompt.bytes()).substr(begin);
    return prompt.part(0, begin + (rest.starts_with(no_lead) ? no_lead.size() : trimmed.size()));
}

// Returns the id of a call in the form that the template wants. Ids of other servers may have another form.
std::string fitting_id(const std::string& id, const ToolForm& form) {
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    if (form.id_length == 0 || (id.size() == form.id_length && std::ranges::all_of(id, is_plain))) return id;
    // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv
    std::uint64_t hash = 14695981039346656037U;
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    std::string fitting;
    for (; fitting.size() < form.id_length; hash >>= 4U) fitting += "0123456789abcdef"[hash & 15U];
    return fitting;
}

// Templates want the arguments as an object. Arguments that are no JSON stay text.
json::array calls_json(std::span<const ToolCall> calls, const ToolForm& form) {
    json::array list;
    for (const ToolCall& call : calls) {
        JsonText arguments = parse_json_text(call.arguments);
        json::value value =
            arguments.problem.empty() ? std::move(arguments.value) : json::value(call.arguments);
        list.push_back({{"id", fitting_id(call.id, form)},
                        {"type", "function"},
                        {"function", {{"name", call.name}, {"arguments", std::move(value)}}}});
    }
    return list;
}

json::value messages_json(std::span<const ChatMessage> messages, const ToolForm& form) {
    json::array list;
    list.reserve(messages.size());
    for (const ChatMessage& message : messages) {
        json::object item{{"role", name_of(message.role)}, {"content", message.content}};
        if (message.name) item["name"] = *message.name;
        if (!message.calls.empty()) item["tool_calls"] = calls_json(message.calls, form);
        if (message.role == Role::tool) item["tool_call_id"] = fitting_id(message.call_id, form);
        list.push_back(std::move(item));
    }
    return list;
}

bool has_part_of_tool(const ChatMessage& message) {
    return message.role == Role::tool || !message.calls.empty();
}

}  // namespace

ChatTemplate ChatTemplate::solar() {
    static const auto parts = std::make_shared<const Parts>(
        Parts{parse(builtin_template("solar").value_or(""), {}, {}).value(), std::nullopt, {}});
    return ChatTemplate(parts);
}

bool ChatTemplate::exists() const {
    return parts_->main.has_value();
}

ToolForm ChatTemplate::tool_form() const {
    const auto& used = parts_->tool_use ? parts_->tool_use : parts_->main;
    return used ? used->tool_form : tool_form_of({});
}

bool ChatTemplate::is_reserved(std::string_view name) {
    return std::ranges::find(special_token_names, name) != special_token_names.end() ||
           std::ranges::find(other_reserved_names, name) != other_reserved_names.end();
}

result<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder,
                                        const std::optional<std::string>& override_name) {
    ::tzset();  // reads the time zone now, because a rendering must not open a file
    auto parts = std::make_shared<Parts>();
    const std::filesystem::path config_file = folder / "tokenizer_config.json";
    json::object config;
    if (exists_in(config_file)) {
        auto read = read_json_file(config_file);
        if (!read) return read.error();
        config = *std::move(read);
    }
    parts->special_tokens = read_special_tokens(config);

    if (override_name) {
        const auto source = builtin_template(*override_name);
        if (!source && !exists_in(*override_name))
            return Error{errc::bad_configuration,
                         "--chat-template " + quoted_name(*override_name) +
                             " is no file and none of the built-in templates: " + builtin_template_names()};
        auto parsed = source ? parse(*source, *override_name, {}) : read_template(*override_name);
        if (!parsed) return parsed.error();
        parts->main = *std::move(parsed);
        return ChatTemplate(std::move(parts));
    }

    const std::filesystem::path template_file = folder / "chat_template.jinja";
    if (exists_in(template_file)) {
        auto parsed = read_template(template_file);
        if (!parsed) return parsed.error();
        parts->main = *std::move(parsed);
        const std::filesystem::path tool_use = folder / "additional_chat_templates" / "tool_use.jinja";
        if (!exists_in(tool_use)) return ChatTemplate(std::move(parts));
        parsed = read_template(tool_use);
        if (!parsed) return parsed.error();
        parts->tool_use = *std::move(parsed);
        return ChatTemplate(std::move(parts));
    }

    const auto* found = config.if_contains("chat_template");
    if (found == nullptr || found->is_null()) return ChatTemplate(std::move(parts));
    if (found->is_string()) {
        auto parsed = parse(found->get_string(), config_file, "chat_template, ");
        if (!parsed) return parsed.error();
        parts->main = *std::move(parsed);
        return ChatTemplate(std::move(parts));
    }
    if (!found->is_array())
        return bad_model(config_file, "chat_template must be a string or a list" + std::string(advice));
    for (const json::value& item : found->get_array()) {
        const auto name = string_member(item, "name");
        const auto source = string_member(item, "template");
        if (!name || !source)
            return bad_model(
                config_file,
                "chat_template must be a list of objects with a name and a template" + std::string(advice));
        if (*name != "default" && *name != "tool_use") continue;
        auto parsed = parse(*source, config_file, "chat_template " + quoted_name(*name) + ", ");
        if (!parsed) return parsed.error();
        (*name == "default" ? parts->main : parts->tool_use) = *std::move(parsed);
    }
    if (!parts->main)
        return bad_model(config_file, "chat_template is a list without a template named \"default\"" +
                                          std::string(advice));
    return ChatTemplate(std::move(parts));
}

result<MarkedText> ChatTemplate::render(std::span<const ChatMessage> messages, PromptEnd end,
                                        const TemplateInputs& inputs, std::size_t max_steps) const {
    const auto& used = !inputs.tools.empty() && parts_->tool_use ? parts_->tool_use : parts_->main;
    if (!used)
        return Error{
            errc::invalid_request,
            "This model has no chat template, so it serves text completions only; to serve chats, start "
            "the server with --chat-template."};
    if (!used->tool_form.in_template &&
        (!inputs.tools.empty() || std::ranges::any_of(messages, has_part_of_tool))) {
        TemplateInputs rest = inputs;
        rest.tools.clear();
        return render(with_tools_as_text(messages, inputs.tools), end, rest, max_steps);
    }
    if (end == PromptEnd::continued_message && !messages.empty() &&
        messages.back().content.find_first_not_of(space) == std::string::npos) {
        // An empty answer that is continued is an answer that begins. But some templates ask for an answer
        // only after a message.
        auto prompt =
            render(messages.first(messages.size() - 1), PromptEnd::assistant_turn, inputs, max_steps);
        if (!prompt || prompt->size() > 0) return prompt;
    }
    const json::value message_list = messages_json(messages, used->tool_form);
    const json::value tools = inputs.tools.empty() ? json::value() : json::value(inputs.tools);
    const json::value documents = inputs.documents.empty() ? json::value() : json::value(inputs.documents);
    const json::value asks = end == PromptEnd::assistant_turn;
    std::vector<jinja::Variable> variables;
    for (const auto& [name, value] : parts_->special_tokens)
        variables.push_back({name, &value, Trust::trusted});
    for (const auto& [name, value] : inputs.kwargs) variables.push_back({name, &value, Trust::untrusted});
    variables.push_back({"messages", &message_list, Trust::untrusted});
    variables.push_back({"tools", &tools, Trust::untrusted});
    variables.push_back({"documents", &documents, Trust::untrusted});
    variables.push_back({"add_generation_prompt", &asks, Trust::untrusted});
    auto prompt = used->parsed.render(variables, std::time(nullptr), max_steps);
    if (!prompt || end != PromptEnd::continued_message || messages.empty()) return prompt;
    return cut_after(*prompt, messages.back().content);
}

}  // namespace solard
