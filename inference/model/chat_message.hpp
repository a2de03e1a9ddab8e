// One message of a conversation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace solard {

enum class Role : std::uint8_t { system, user, assistant, tool };

// A call of a tool, which an assistant's message makes.
struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;  // JSON
    bool operator==(const ToolCall&) const = default;
};

struct ChatMessage {
    Role role = Role::user;
    std::string content;
    std::optional<std::string> name = std::nullopt;  // of the author
    std::vector<ToolCall> calls = {};                // of an assistant
    std::string call_id = {};                        // of a tool's message: the call which it answers
};

}  // namespace solard
