// POST /v1/chat/completions without a socket: body to struct, struct to JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/chat_template.hpp"
#include "inference/error.hpp"
#include "inference/request.hpp"
#include "inference/tokenizer.hpp"
#include "server/api/log_delta.hpp"
#include "server/api/sampling_fields.hpp"

namespace solard {

struct ChatRequest {
    std::string model;  // empty: the one that is served
    std::vector<ChatMessage> messages;
    std::optional<std::int32_t> max_tokens;
    SamplingFields sampling;
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

// What writing an answer needs; all of it outlives the writing.
struct ChatContext {
    const ChatIdentity& identity;
    const SamplingFields& sampling;  // of the request
    const Tokenizer& tokenizer;      // for logprobs
};

// The body of a whole answer; each of `choices` is finished.
std::string chat_completion_json(const ChatContext& context, std::span<const LogDelta> choices, Usage usage);

// Server-sent events of a streamed answer (OpenAI chat.completion.chunk), each "data: {...}\n\n", appended to
// `out`.
class ChatChunkWriter {
  public:
    explicit ChatChunkWriter(const ChatContext& context);
    // A chunk for the text that is new, if any, and one for the end. A choice's first chunk carries the role
    // as well, so that a role alone never counts as a first token: load clients count chunks. But the role
    // comes alone, in the same write, before logprobs, for openai's stream helper for node takes those of a
    // choice's first chunk twice.
    void append(std::string& out, const LogDelta& delta);
    void usage(std::string& out, Usage usage) const;

  private:
    void text_chunk(std::string& out, const LogDelta& delta);
    void finish_chunk(std::string& out, const LogDelta& delta) const;
    void append_logprobs(std::string& out, std::span<const TokenLogprob> logprobs) const;

    ChatContext context_;
    std::string prefix_;             // up to and including `"choices":`
    std::uint32_t num_started_ = 0;  // choices whose first chunk is written, from the front
};

}  // namespace solard
