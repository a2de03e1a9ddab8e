// POST /v1/completions without a socket: body to struct, struct to JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/api/answer_json.hpp"
#include "server/api/generation_fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_outputs = 128;  // prompts x choices of one request

// Text, which gets BOS and is tokenized, or token ids, which are taken as they are.
using PromptInput = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
    std::vector<PromptInput> prompts;  // [1, max_outputs / n], all of one form
    GenerationFields generation;       // max_tokens is set: OpenAI's default is 16
    bool echo = false;                 // the prompt stands before the answer
};

// Errors as parse_chat_request().
result<CompletionRequest> parse_completion_request(std::string_view body, UnknownFields unknown);

// OpenAI's text_completion, whole and in chunks. Output `i` answers prompt `i / n`.
class CompletionAnswerWriter final : public AnswerWriter {
  public:
    CompletionAnswerWriter(AnswerContext context, bool echo);
    void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) override;
    void append_usage_chunk(std::string& out, const Usage& usage) const override;
    std::string whole(std::span<const LogDelta> outputs, const Usage& usage) const override;

  private:
    const ShownPrompt* prompt_of(std::uint32_t output) const;
    // `text_offset`: characters of this output's text before the first token of `delta`.
    void append_choice(std::string& out, const LogDelta& delta, std::string_view echoed, bool begins,
                       std::size_t text_offset) const;

    struct Place {
        bool begun = false;
        std::size_t characters = 0;  // written, by the text of their tokens
    };

    bool echo_;
    std::string prefix_;         // of every chunk, up to and including `"choices":[`
    std::vector<Place> places_;  // [outputs]
};

}  // namespace solard::server
