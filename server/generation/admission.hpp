// The steps from a parsed request to a request of the engine: check the model's name, encode the prompts, and
// apply the limits and the quota.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/generation_fields.hpp"
#include "server/api/message_fields.hpp"
#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"

namespace solard::server {

// Refuses a model name that is not served. Errors: model_not_found.
result<void> check_model(const GenerationService& generation, const std::string& name);

// Refuses a prompt which has too many bytes for the context, however it would be tokenized. `field` is the
// field of the request which the error names. Errors: context_length_exceeded.
result<void> check_text_size(const GenerationService& generation, std::size_t num_bytes,
                             std::string_view field);

// Encodes each text. If the texts are long in total, the worker thread does this. `field` is the field of the
// request which an error names. Errors: those of Tokenizer::encode(); server_overloaded if the owner has too
// many jobs, and by WorkerThread::offload(); context_length_exceeded if a text has too many bytes for the
// context, however it would be tokenized.
boost::asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode_prompts(
    GenerationService& generation, JobSource source, std::vector<std::string> texts, EncodeOptions options,
    std::string_view field);
boost::asio::awaitable<result<std::vector<TokenId>>> encode_prompt(GenerationService& generation,
                                                                   JobSource source, std::string text,
                                                                   EncodeOptions options,
                                                                   std::string_view field);

// A prompt that the chat template has made.
struct RenderedChat {
    std::string text;
    std::vector<TokenId> token_ids;
};

// Renders a conversation with the model's chat template and encodes it. If it is long, or much work for the
// template, the worker thread does this. Special tokens come only from the template. Has the errors of
// encode_prompt(), and invalid_value if there is no template, or if the template refuses the conversation or
// reaches a limit.
boost::asio::awaitable<result<RenderedChat>> render_chat(GenerationService& generation, JobSource source,
                                                         ChatPrompt prompt, std::string_view field);

// Returns the compiled grammar of the answers, or null if the request has none. `prompt_tokens` is the size
// of the longest prompt, and `prompt_field` is the field of the request which has it. Has the errors of
// GrammarService::compile(), and context_length_exceeded.
boost::asio::awaitable<result<std::shared_ptr<const Grammar>>> grammar_of(GenerationService& generation,
                                                                          JobSource source,
                                                                          const GenerationFields& fields,
                                                                          std::size_t prompt_tokens,
                                                                          std::string_view prompt_field);

// Submits the prompts to the engine. Must be called before the status line of the answer is sent. `field` is
// the field of the request which had the prompts. Errors: those of EngineClient::submit(),
// context_length_exceeded, invalid_value with the name of the field, rate_limit_exceeded.
result<Generation> admit(GenerationService& generation, const GenerationFields& fields, const Caller& caller,
                         std::vector<std::vector<TokenId>> prompts,
                         const std::shared_ptr<const Grammar>& grammar, std::string_view field);

// Does what grammar_of() and admit() do, one after the other. `prompts` must not be empty.
boost::asio::awaitable<result<Generation>> compile_and_admit(GenerationService& generation, JobSource source,
                                                             const GenerationFields& fields, Caller caller,
                                                             std::vector<std::vector<TokenId>> prompts,
                                                             std::string_view field);

// Returns how many choices of one request can run together, which is the largest allowed `n`.
std::int32_t max_choices_together(const GenerationService& generation);

}  // namespace solard::server
