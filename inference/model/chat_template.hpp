// Renders chat messages to a prompt. The form is written in C++: no template language is evaluated.
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

// The form in which a model was trained to read a conversation. A value: cheap to copy, any thread may use
// it.
class ChatTemplate {
  public:
    // Takes the template of the folder's tokenizer_config.json if it is SOLAR's published text (white space
    // outside string literals does not count), or the one that `override_name` names ("solar"). Errors:
    // bad_model, which names the file and --chat-template; bad_configuration for an unknown override.
    static result<ChatTemplate> load(const std::filesystem::path& folder,
                                     const std::optional<std::string>& override_name);
    static ChatTemplate solar() { return {}; }

    // Returns the prompt of a conversation: "### System:\n..\n\n### User:\n..\n\n### Assistant:\n". Empty
    // system texts are left out, nothing follows the text of an assistant turn, and `end` decides whether an
    // open assistant block comes last. Source: tokenizer_config.json of upstage/SOLAR-10.7B-Instruct-v1.0.
    std::string render(std::span<const ChatMessage> messages,
                       PromptEnd end = PromptEnd::assistant_turn) const;

  private:
    ChatTemplate() = default;  // SOLAR's is the only form so far
};

}  // namespace solard
