#include "inference/model/chat_template.hpp"

#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"

namespace solard {
namespace {

// The chat_template in tokenizer_config.json of upstage/SOLAR-10.7B-Instruct-v1.0. Each \n is a Jinja escape
// of two characters.
constexpr std::string_view solar_template =
    R"({% for message in messages %})"
    R"({% if message['role'] == 'system' %})"
    R"({% if message['content']%}{{'### System:\n' + message['content']+'\n\n'}}{% endif %})"
    R"({% elif message['role'] == 'user' %}{{'### User:\n' + message['content']+'\n\n'}})"
    R"({% elif message['role'] == 'assistant' %}{{'### Assistant:\n'  + message['content']}}{% endif %})"
    R"({% if loop.last and add_generation_prompt %}{{ '### Assistant:\n' }}{% endif %})"
    R"({% endfor %})";

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Does not handle escaped quotes inside literals, because the published template has none.
std::string without_space_outside_literals(std::string_view text) {
    std::string kept;
    char quote = '\0';  // the quote that ends the current literal
    for (const char c : text) {
        if (quote == '\0' && is_space(c)) continue;
        kept += c;
        if (quote == '\0' && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        }
    }
    return kept;
}

}  // namespace

std::string ChatTemplate::render(std::span<const ChatMessage> messages, PromptEnd end) const {
    std::string prompt;
    for (const ChatMessage& message : messages) {
        switch (message.role) {
            case Role::system:
                if (!message.content.empty()) prompt += "### System:\n" + message.content + "\n\n";
                break;
            case Role::user:
                prompt += "### User:\n" + message.content + "\n\n";
                break;
            case Role::assistant:
                prompt += "### Assistant:\n" + message.content;
                break;
        }
    }
    if (end == PromptEnd::assistant_turn) prompt += "### Assistant:\n";
    return prompt;
}

result<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder,
                                        const std::optional<std::string>& override_name) {
    if (override_name) {
        if (*override_name == "solar") return solar();
        return Error{errc::bad_configuration,
                     "--chat-template " + quoted_name(*override_name) + " is not known, expected solar"};
    }
    const std::filesystem::path file = folder / "tokenizer_config.json";
    constexpr std::string_view advice =
        "; to serve this model with SOLAR's prompt form, set --chat-template solar";
    std::error_code ec;
    if (!std::filesystem::exists(file, ec)) {
        return bad_model(file,
                         "is missing, expected a file with SOLAR's chat_template" + std::string(advice));
    }
    const auto config = read_json_file(file);
    if (!config) return config.error();
    const boost::json::value* text = config->if_contains("chat_template");
    if (text == nullptr || !text->is_string()) {
        return bad_model(file,
                         "has no chat_template string, expected SOLAR's template" + std::string(advice));
    }
    if (without_space_outside_literals(text->get_string()) !=
        without_space_outside_literals(solar_template)) {
        return bad_model(file, "chat_template is not known, expected SOLAR's template" + std::string(advice));
    }
    return solar();
}

}  // namespace solard
