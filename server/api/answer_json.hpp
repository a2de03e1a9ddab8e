// The parts of JSON which all generated answers have in common, and the interface which writes an answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/tokenizer.hpp"
#include "inference/request.hpp"
#include "server/api/document.hpp"
#include "server/api/generation_fields.hpp"
#include "server/api/identity.hpp"
#include "server/api/log_delta.hpp"
#include "server/api/token_texts.hpp"

namespace solard::server {

struct Usage {
    std::size_t prompt_tokens = 0;      // sum over all prompts
    std::size_t completion_tokens = 0;  // sum over all outputs
    std::int32_t cached_tokens = 0;     // number of prompt tokens that came from the prefix cache
};

inline const std::string no_text;  // for an answer that does not repeat its prompt

// The parts of a prompt which the answer repeats.
struct ShownPrompt {
    std::string text = {};                // empty unless the request has `echo`
    std::vector<TokenId> token_ids = {};  // empty unless the request has `return_token_ids`
    // The rest is set if the request has `echo`, and says where the tokens are in `text`.
    TokenId first_token = -1;
    bool skip_special_tokens = true;  // true: the special tokens after the first token are not in `text`
    std::size_t first_token_characters = 0;  // 0 if the first token is not in `text`
    std::size_t dropped_space = no_dropped_space;
};

// Everything which a writer needs to know before the first token.
struct AnswerContext {
    AnswerIdentity identity;
    GenerationFields fields;
    const Tokenizer& tokenizer;
    std::vector<ShownPrompt> prompts = {};

    // The texts of the answer's tokens.
    TokenTexts texts() const { return {tokenizer, fields.sampling.skip_special_tokens}; }
};

// Writes one answer, either whole or as server-sent events ("data: {...}\n\n").
class AnswerWriter {
  public:
    explicit AnswerWriter(AnswerContext context) : context_(std::move(context)) {}
    virtual ~AnswerWriter() = default;
    AnswerWriter(const AnswerWriter&) = delete;
    AnswerWriter& operator=(const AnswerWriter&) = delete;

    // Appends the chunks for `delta`, which belongs to one output. `usage` counts the tokens of all outputs
    // so far.
    virtual void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) = 0;
    // If the request wants usage, appends the last chunk, which has usage but no choices.
    virtual void append_usage_chunk(std::string& out, const Usage& usage) const = 0;
    // Appends what comes after the last chunk of a stream.
    virtual void append_end(std::string& out) const { out += "data: [DONE]\n\n"; }
    // Appends the error that ends a stream early. Nothing comes after it.
    virtual void append_error(std::string& out, const Error& error) const;
    // Returns the body of a whole answer. All `outputs` must have finished. The returned document reads
    // `outputs` and this writer when it is rendered, so both must outlive the document.
    virtual Document whole(std::span<const LogDelta> outputs, const Usage& usage) const = 0;
    const GenerationFields& fields() const { return context_.fields; }

  protected:
    AnswerContext context_;
};

std::string_view name_of(FinishReason reason);  // "stop" or "length"

// Appends `{"id":..,"object":..,"created":..,"model":..`.
void append_identity(std::string& out, const AnswerIdentity& identity, std::string_view object);
// Appends both texts as one JSON string.
template <class Out>
void append_echoed_text(Out& out, const std::string& echoed, const std::string_view& text) {
    tail_of(out) += '"';
    append_characters(out, echoed);
    append_characters(out, text);
    tail_of(out) += '"';
}
// Appends `{"prompt_tokens":..}`.
void append_usage(std::string& out, const Usage& usage);
// Returns the reason for chats, in which calls of tools are a reason of their own.
std::string_view chat_finish_reason(const LogDelta& delta);
// Appends `"finish_reason":..,"stop_reason":..`. `stop_reason` is vLLM's name for the stop string or stop
// token which ended the output.
void append_finish(std::string& out, std::string_view reason, const LogDelta& delta,
                   std::span<const std::string> stops);
// Appends `[1,2,3]`. `TokenIds` is a vector or a span.
template <class Out, class TokenIds>
void append_token_ids(Out& out, const TokenIds& token_ids) {
    append_list(out, token_ids.size(), [&token_ids](std::string& piece, std::size_t i) {
        append_json_number(piece, std::int64_t{token_ids[i]});
    });
}

}  // namespace solard::server
