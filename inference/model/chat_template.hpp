// Messages to prompt text, in SOLAR's form. Code, not data: no template language is evaluated.
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

// Where a prompt ends: with an open assistant block that asks for an answer, or as the last message ends, so
// that an answer goes on with it.
enum class PromptEnd { assistant_turn, last_message };

// "### System:\n..\n\n### User:\n..\n\n### Assistant:\n": empty system texts are left out, an assistant turn
// has nothing after its text, and the open assistant block at the end, if any, asks for the answer. Source:
// tokenizer_config.json of upstage/SOLAR-10.7B-Instruct-v1.0.
std::string render_solar_prompt(std::span<const ChatMessage> messages,
                                PromptEnd end = PromptEnd::assistant_turn);

// Accepts the folder's tokenizer_config.json if its chat_template is SOLAR's published text (white space
// outside string literals does not count), or if `override_name` is "solar". Errors: bad_model naming the
// file and --chat-template; bad_configuration for an unknown override.
result<void> check_chat_template(const std::filesystem::path& folder,
                                 const std::optional<std::string>& override_name);

}  // namespace solard
