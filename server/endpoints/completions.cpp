// POST /v1/completions.
#include <span>
#include <utility>

#include "server/api/completions.hpp"
#include "server/api/tokenize.hpp"
#include "server/endpoints/answer.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/parse_body.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

result<void> check_tokens(std::span<const TokenId> token_ids, TokenId vocab_size) {
    for (const TokenId token : token_ids) {
        if (token >= vocab_size)
            return Error{errc::invalid_value,
                         "prompt must consist of token ids from 0 to " + std::to_string(vocab_size - 1) +
                             ", but contains " + std::to_string(token) + ".",
                         "prompt"};
    }
    return {};
}

// Returns the prompts as token ids. Either all inputs are texts, or all are token ids.
asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode(GenerationService& generation,
                                                                  std::vector<PromptInput> inputs) {
    std::vector<std::string> texts;
    std::vector<std::vector<TokenId>> prompts;
    for (PromptInput& input : inputs) {
        if (auto* text = std::get_if<std::string>(&input)) {
            texts.push_back(std::move(*text));
            continue;
        }
        auto& token_ids = std::get<std::vector<TokenId>>(input);
        if (auto known = check_tokens(token_ids, generation.model.config.vocab_size); !known)
            co_return known.error();
        prompts.push_back(std::move(token_ids));
    }
    if (texts.empty()) co_return prompts;
    auto encoding = encode_prompts(generation, std::move(texts), "prompt");
    co_return co_await std::move(encoding);
}

// Returns the parts of the prompt that the answer repeats.
ShownPrompt shown(const GenerationService& generation, const CompletionRequest& request,
                  const PromptInput& input, const std::vector<TokenId>& token_ids) {
    ShownPrompt prompt;
    if (request.echo) {
        const auto* text = std::get_if<std::string>(&input);
        prompt.text = text != nullptr ? *text : text_of(token_ids, generation.tokenizer);
    }
    if (request.generation.return_token_ids) prompt.token_ids = token_ids;
    return prompt;
}

asio::awaitable<result<PendingAnswer>> begin_completion(GenerationService& generation,
                                                        const HttpRequest& http) {
    // This check comes first, so that a full or starting server does no work for a request.
    if (auto open = generation.engine.check_open(http.caller); !open) co_return open.error();
    auto parsing = parse_body(generation, http.body, parse_completion_request);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->generation.model); !served) co_return served.error();
    AnswerContext context{make_identity("cmpl-", generation.model.names.front()), request->generation,
                          generation.tokenizer};
    auto encoding = encode(generation, request->prompts);
    auto prompts = co_await std::move(encoding);
    if (!prompts) co_return prompts.error();
    for (std::size_t i = 0; i < prompts->size(); ++i)
        context.prompts.push_back(shown(generation, *request, request->prompts[i], (*prompts)[i]));
    auto admitted = admit(generation, context.fields, http.caller, *std::move(prompts), "prompt");
    if (!admitted) co_return admitted.error();
    PendingAnswer pending{std::make_unique<CompletionAnswerWriter>(std::move(context), request->echo),
                          *std::move(admitted)};
    co_return pending;
}

}  // namespace

asio::awaitable<void> handle_completions(GenerationService& generation, HttpExchange& exchange) {
    auto pending = co_await begin_completion(generation, exchange.request());
    co_await send_completion(exchange, std::move(pending), generation);
}

}  // namespace solard::server
