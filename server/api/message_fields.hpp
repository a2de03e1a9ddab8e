// The fields of one message of a conversation, which chat completions and responses have in common.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "server/api/fields.hpp"
#include "server/api/peer_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_messages = 1024;
inline constexpr std::size_t max_calls = 128;  // in one message of a history

// A conversation, and everything else of a request which the chat template can read.
struct ChatPrompt {
    std::vector<ChatMessage> messages;
    PromptEnd end = PromptEnd::assistant_turn;
    TemplateInputs inputs;
    bool add_special_tokens = true;  // BOS and the like come first, even if the template does not begin so
};

// Reads `role` and `content`, for chat also `name`, `tool_calls` and `tool_call_id`, and checks all other
// members of the message and of its parts. A content is a string, or a list whose strings and text parts
// become one text with a line break between them. An assistant's message may have `refusal` instead of a
// content, or neither. `kind` is chat or responses, and `path` names the message in errors. Errors:
// invalid_value; unsupported_parameter; unsupported_input for a part that is not text.
result<ChatMessage> parse_message(const boost::json::value& value, BodyKind kind, const std::string& path);

// Reads the content of a message or of a result: a string, or a list of parts. `value` is nullptr if the
// field is missing, and `path` names the field in errors. Errors: those of parse_message().
result<std::string> parse_content(const boost::json::value* value, BodyKind kind, const std::string& path);
// Reads the name and the arguments of a call from their object; those of a custom tool are `input`.
// `prefix` stands in front of their names in errors. Errors: invalid_value.
result<ToolCall> parse_call_members(const boost::json::object& members, bool is_custom, std::string_view id,
                                    const std::string& prefix);
// Returns the arguments of a call of a custom tool, as the model writes them.
std::string custom_arguments(std::string_view input);

// Reads the two fields of vLLM which decide how the prompt ends: `add_generation_prompt` and
// `continue_final_message`. An answer cannot both begin a new message and continue the last one, and it can
// only continue an assistant's message. A problem is recorded in `fields`.
PromptEnd parse_prompt_end(FieldReader& fields, std::span<const ChatMessage> messages);

// Reads `chat_template_kwargs`, variables for the chat template. A name that the server sets is refused. A
// problem is recorded in `fields`.
boost::json::object parse_template_kwargs(FieldReader& fields);
// Reads a list of objects, such as `documents`. A problem is recorded in `fields`.
boost::json::array parse_objects(FieldReader& fields, std::string_view name);

}  // namespace solard::server
