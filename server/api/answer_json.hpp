// What the JSON of every generated answer has in common, and how a protocol writes one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/tokenizer.hpp"
#include "inference/request.hpp"
#include "server/api/generation_fields.hpp"
#include "server/api/identity.hpp"
#include "server/api/log_delta.hpp"

namespace solard::server {

struct Usage {
    std::size_t prompt_tokens = 0;      // of all prompts
    std::size_t completion_tokens = 0;  // of all outputs
    std::int32_t cached_tokens = 0;     // of the prompts, not computed again
};

// A prompt as far as the answer shows it.
struct ShownPrompt {
    std::string text;                // for echo
    std::vector<TokenId> token_ids;  // for return_token_ids
};

// What writing an answer needs.
struct AnswerContext {
    AnswerIdentity identity;
    GenerationFields fields;
    const Tokenizer& tokenizer;
    std::vector<ShownPrompt> prompts = {};
};

// One answer, written either whole or as server-sent events ("data: {...}\n\n").
class AnswerWriter {
  public:
    explicit AnswerWriter(AnswerContext context) : context_(std::move(context)) {}
    virtual ~AnswerWriter() = default;
    AnswerWriter(const AnswerWriter&) = delete;
    AnswerWriter& operator=(const AnswerWriter&) = delete;

    // Appends the chunks for what is new of one output; `usage` is what all have used so far.
    virtual void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) = 0;
    // The last chunk, without choices, if the request wants one.
    virtual void append_usage_chunk(std::string& out, const Usage& usage) const = 0;
    // The body of a whole answer; each of `outputs` is finished.
    virtual std::string whole(std::span<const LogDelta> outputs, const Usage& usage) const = 0;
    const GenerationFields& fields() const { return context_.fields; }

  protected:
    AnswerContext context_;
};

std::string_view name_of(FinishReason reason);  // "stop" or "length"

// `{"id":..,"object":..,"created":..,"model":..`
void append_identity(std::string& out, const AnswerIdentity& identity, std::string_view object);
// One JSON string of both; only what is echoed costs an allocation.
void append_echoed_text(std::string& out, std::string_view echoed, std::string_view text);
// `{"prompt_tokens":..}`
void append_usage(std::string& out, const Usage& usage);
// `"finish_reason":..,"stop_reason":..`; the latter is vLLM's name for which stop it was.
void append_finish(std::string& out, const LogDelta& delta, std::span<const std::string> stops);
// `[1,2,3]`
void append_token_ids(std::string& out, std::span<const TokenId> token_ids);

}  // namespace solard::server
