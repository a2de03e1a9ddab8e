// POST /v1/chat/completions without a socket: body to struct, struct to JSON.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "server/api/answer_json.hpp"
#include "server/api/generation_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// A conversation, and where its rendering ends.
struct ChatPrompt {
    std::vector<ChatMessage> messages;
    PromptEnd end = PromptEnd::assistant_turn;
};

struct ChatRequest {
    ChatPrompt prompt;
    GenerationFields generation;
    bool echo = false;  // the last message stands before the answer if it is the assistant's
};

// Errors name the field in `param`: invalid_json, invalid_value, unsupported_parameter, unsupported_input.
// Explicit nulls count as absent; unknown fields are ignored unless they would change the meaning of the
// answer.
result<ChatRequest> parse_chat_request(std::string_view body, UnknownFields unknown);

// `messages`, `add_generation_prompt` and `continue_final_message`. A problem is left in `fields`.
ChatPrompt parse_chat_prompt(const boost::json::object& body, FieldReader& fields);

// OpenAI's chat.completion and chat.completion.chunk.
//
// A choice's first chunk carries the role as well, so that a role alone never counts as a first token: load
// clients count chunks. But the role comes alone, in the same write, before logprobs, for openai's stream
// helper for node takes those of a choice's first chunk twice.
class ChatAnswerWriter final : public AnswerWriter {
  public:
    explicit ChatAnswerWriter(AnswerContext context);
    void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) override;
    void append_usage_chunk(std::string& out, const Usage& usage) const override;
    std::string whole(std::span<const LogDelta> outputs, const Usage& usage) const override;

  private:
    std::string_view echoed() const;
    void text_chunk(std::string& out, const LogDelta& delta, const Usage& usage);
    void finish_chunk(std::string& out, const LogDelta& delta, const Usage& usage) const;
    void begin_chunk(std::string& out) const;
    void append_tokens(std::string& out, const LogDelta& delta) const;
    void end_chunk(std::string& out, const Usage& usage) const;

    std::string prefix_;             // of every chunk, up to and including `"model":..`
    std::uint32_t num_started_ = 0;  // choices whose first chunk is written, from the front
};

}  // namespace solard::server
