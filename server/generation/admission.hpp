// From what a client asked for to what the engine gets: the model's name, prompts as tokens, limits, quota,
// admission.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/generation_fields.hpp"
#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"

namespace solard::server {

// Refuses a model name that is not served. Errors: model_not_found.
result<void> check_model(const GenerationService& generation, const std::string& name);

// Encodes each text as BOS and its pieces, on the worker thread if the texts are long together. `field` is
// what an error names. Errors: server_overloaded, and context_length_exceeded, which is found without
// tokenizing if a text is too long whatever its pieces are.
boost::asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode_prompts(
    GenerationService& generation, std::vector<std::string> texts, std::string_view field);
boost::asio::awaitable<result<std::vector<TokenId>>> encode_prompt(GenerationService& generation,
                                                                   std::string text, std::string_view field);

// The last step before a status line: everything that can refuse the prompts does so here. `field` is where
// the prompts came from. Errors: as EngineClient::submit(), context_length_exceeded, invalid_value naming the
// field, rate_limit_exceeded.
result<Generation> admit(GenerationService& generation, const GenerationFields& fields, const Caller& caller,
                         std::vector<std::vector<TokenId>> prompts, std::string_view field);

// Returns the number of choices of one request which can run together; `n` is at most that.
std::int32_t max_choices_together(const GenerationService& generation);

}  // namespace solard::server
