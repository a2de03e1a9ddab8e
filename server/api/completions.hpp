// Parses the body of POST /v1/completions and writes its answer, without a socket.
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

// The maximum number of outputs of one request. A request has one output for each choice of each prompt.
inline constexpr std::size_t max_outputs = 128;

// Either a text, which is encoded, or token ids, which are used unchanged.
using PromptInput = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
    std::vector<PromptInput> prompts;  // 1 to max_outputs / n; all are texts or all are token ids
    GenerationFields generation;       // max_tokens is always set; OpenAI's default is 16
    EncodeOptions encoding{.add_special_tokens = true, .parse_special = true};  // of prompts that are texts
    bool echo = false;  // true: the answer begins with the prompt
};

// Has the same errors as parse_chat_request().
result<CompletionRequest> parse_completion_request(std::string_view body, UnknownFields unknown);

// Writes OpenAI's text_completion, whole or in chunks. Output `i` answers prompt `i / n`, where n is the
// number of choices of each prompt.
class CompletionAnswerWriter final : public AnswerWriter {
  public:
    CompletionAnswerWriter(AnswerContext context, bool echo);
    void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) override;
    void append_usage_chunk(std::string& out, const Usage& usage) const override;
    Document whole(std::span<const LogDelta> outputs, const Usage& usage) const override;

  private:
    struct Place {
        bool begun = false;
        std::size_t characters = 0;         // in front of the next token of the answer
        std::size_t prompt_characters = 0;  // in the tokens of the prompt which were written
    };
    const ShownPrompt& prompt_of(std::uint32_t output) const;
    Place begin_of(std::uint32_t output) const;
    bool echoes_logprobs() const { return echo_ && context_.fields.sampling.num_logprobs >= 0; }
    // `place` is the place of the output before `delta`.
    template <class Out>
    void append_choice(Out& out, const LogDelta& delta, const Place& place) const;

    bool echo_;
    std::string prefix_;         // the beginning of every chunk, up to and including `"choices":[`
    std::vector<Place> places_;  // [outputs]
};

}  // namespace solard::server
