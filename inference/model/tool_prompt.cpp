#include "inference/model/tool_prompt.hpp"

#include <boost/json/serialize.hpp>
#include <string>
#include <string_view>

#include "inference/model/tool_form.hpp"

namespace solard {
namespace {

std::string instructions(const boost::json::array& tools) {
    std::string text = "You can call tools. These are the tools, one JSON object in each line:\n<tools>\n";
    for (const auto& tool : tools) text.append(boost::json::serialize(tool)).append("\n");
    text += "</tools>\nTo call a tool, write its name and its arguments in this form:\n";
    text.append(hermes_form.head).append("name").append(hermes_form.middle).append("{}");
    text.append(hermes_form.tail)
        .append("\nThe result then comes between <tool_response> and </tool_response>.");
    return text;
}

// Appends a paragraph to a text that may be empty.
void append_paragraph(std::string& text, std::string_view paragraph, std::string_view separator) {
    if (!text.empty()) text += separator;
    text += paragraph;
}

std::string text_of(const ToolCall& call) {
    std::string text(hermes_form.head);
    text.append(call.name).append(hermes_form.middle).append(call.arguments).append(hermes_form.tail);
    return text;
}

}  // namespace

std::vector<ChatMessage> with_tools_as_text(std::span<const ChatMessage> messages,
                                            const boost::json::array& tools) {
    std::vector<ChatMessage> out;
    if (!tools.empty()) {
        out.push_back({Role::system, ""});
        if (!messages.empty() && messages.front().role == Role::system) {
            out.front() = messages.front();
            messages = messages.subspan(1);
        }
        append_paragraph(out.front().content, instructions(tools), "\n\n");
    }
    bool after_result = false;
    for (const ChatMessage& message : messages) {
        const bool is_result = message.role == Role::tool;
        // Many templates want the messages of the user and of the assistant to alternate.
        if (after_result && (is_result || message.role == Role::user)) {
            out.back().content += '\n';
        } else {
            out.push_back({is_result ? Role::user : message.role, "", message.name});
        }
        std::string& content = out.back().content;
        content += is_result ? "<tool_response>\n" + message.content + "\n</tool_response>" : message.content;
        for (const ToolCall& call : message.calls) append_paragraph(content, text_of(call), "\n");
        after_result = is_result;
    }
    return out;
}

}  // namespace solard
