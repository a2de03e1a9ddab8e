// Parses the body of POST /v1/chat/completions and writes its answer, without a socket.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/answer_json.hpp"
#include "server/api/generation_fields.hpp"
#include "server/api/message_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct ChatRequest {
    ChatPrompt prompt;
    GenerationFields generation;
    // If true, and if the last message has the role assistant, the answer begins with that message.
    bool echo = false;
};

// Errors: invalid_json, invalid_value, unsupported_parameter, unsupported_input; `param` names the field. A
// field whose value is null counts as absent. An unsupported field which would change the meaning of the
// answer is refused. `unknown` says whether fields that the parser does not know are ignored or refused.
result<ChatRequest> parse_chat_request(std::string_view body, UnknownFields unknown);
// Reads `messages`, `add_generation_prompt`, `continue_final_message`, `chat_template_kwargs`, `documents`
// and `add_special_tokens`. A problem is recorded in `fields`.
ChatPrompt parse_chat_prompt(const boost::json::object& body, FieldReader& fields);

// Writes OpenAI's chat.completion and chat.completion.chunk.
//
// The first chunk of a choice carries both the role and text, because load-testing clients count chunks and
// would take a chunk with the role alone for the first token. There is one exception: if the first text has
// logprobs, a chunk with the role alone comes before the text, in the same write, because openai's stream
// helper for Node.js reads the logprobs of a choice's first chunk twice.
class ChatAnswerWriter final : public AnswerWriter {
  public:
    explicit ChatAnswerWriter(AnswerContext context);
    void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) override;
    void append_usage_chunk(std::string& out, const Usage& usage) const override;
    Document whole(std::span<const LogDelta> outputs, const Usage& usage) const override;

  private:
    const std::string& echoed() const;
    void append_message(Document& out, const LogDelta& choice) const;
    void begin_delta(std::string& out, std::uint32_t output);
    void text_chunk(std::string& out, const LogDelta& delta, const Usage& usage);
    enum class CallPart : std::uint8_t { beginning, arguments };
    void call_chunk(std::string& out, const LogDelta& delta, CallPart part, const Usage& usage);
    void finish_chunk(std::string& out, const LogDelta& delta, const Usage& usage) const;
    void begin_chunk(std::string& out) const;
    template <class Out>
    void append_tokens(Out& out, const LogDelta& delta) const;
    void end_chunk(std::string& out, const Usage& usage) const;

    std::string prefix_;             // the beginning of every chunk, up to and including `"model":..`
    std::uint32_t num_started_ = 0;  // the first chunk of every choice with a smaller index was written
    std::map<std::uint32_t, std::size_t> num_calls_;  // by output: how many calls have begun
};

}  // namespace solard::server
