// POST /v1/chat/completions without a socket: body to struct, struct to JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/chat_template.hpp"
#include "inference/error.hpp"
#include "inference/request.hpp"

namespace solard {

struct ChatRequest {
    std::string model;  // empty: the one that is served
    std::vector<ChatMessage> messages;
    std::optional<std::int32_t> max_tokens;
    std::optional<double> temperature;  // [0, 2]
    std::optional<double> top_p;        // (0, 1]
    std::optional<std::uint64_t> seed;
    std::vector<std::string> stop;
    bool stream = false;
    bool include_usage = false;
};

// Errors name the field in `param`: invalid_json, invalid_value, unsupported_parameter, unsupported_input.
// Explicit nulls count as absent; unknown fields are ignored unless they would change the meaning of the
// answer.
result<ChatRequest> parse_chat_request(std::string_view body);

// What all JSON of one answer has in common.
struct ChatIdentity {
    std::string id;  // "chatcmpl-..."
    std::string model;
    std::int64_t created = 0;  // Unix seconds
};

struct Usage {
    std::size_t prompt_tokens = 0;
    std::size_t completion_tokens = 0;
    std::int32_t cached_tokens = 0;  // of the prompt, not computed again
};

std::string_view name_of(FinishReason reason);  // "stop" or "length"

// The body of a whole answer.
std::string chat_completion_json(const ChatIdentity& identity, std::string_view text, FinishReason finish,
                                 Usage usage);

// Server-sent events of a streamed answer (OpenAI chat.completion.chunk), each "data: {...}\n\n", appended to
// `out`.
class ChatChunkWriter {
  public:
    explicit ChatChunkWriter(const ChatIdentity& identity);
    // The first one carries the role as well, so that a role alone never counts as a first token: load
    // clients count chunks.
    void text(std::string& out, std::string_view text);
    void finish(std::string& out, FinishReason reason);
    void usage(std::string& out, Usage usage) const;

  private:
    std::string prefix_;  // up to and including `"choices":`
    bool first_ = true;
};

}  // namespace solard
