// Renders chat messages to a prompt. The template is written in C++: no template language is evaluated.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

enum class Role { system, user, assistant };

struct ChatMessage {
    Role role = Role::user;
    std::string content;
};

// How a prompt ends: with an open assistant block that asks for an answer, or with the text of the last
// message, so that the answer continues that message.
enum class PromptEnd { assistant_turn, last_message };

// The text format in which a model was trained to read a conversation. An object is cheap to copy, and any
// thread may use it.
class ChatTemplate {
  public:
    // Returns the template that `override_name` names; "solar" is the only name. If no name is given, returns
    // SOLAR's template, but only if the chat_template in the folder's tokenizer_config.json is SOLAR's
    // published text, apart from white space outside string literals. Errors: bad_model, with a message that
    // names the file and --chat-template; bad_configuration for an unknown name.
    static result<ChatTemplate> load(const std::filesystem::path& folder,
                                     const std::optional<std::string>& override_name);
    static ChatTemplate solar() { return {}; }

    // Returns the prompt of a conversation: "### System:\n..\n\n### User:\n..\n\n### Assistant:\n". A system
    // message with empty text is left out. No blank line follows the text of an assistant message. `end` says
    // whether an open assistant block comes last. Source: tokenizer_config.json of
    // upstage/SOLAR-10.7B-Instruct-v1.0.
    std::string render(std::span<const ChatMessage> messages,
                       PromptEnd end = PromptEnd::assistant_turn) const;

  private:
    ChatTemplate() = default;  // SOLAR's template is the only one so far
};

}  // namespace solard
