// POST /v1/messages and POST /v1/messages/count_tokens, in Anthropic's form.
#include <utility>

#include "server/api/anthropic_answer.hpp"
#include "server/api/anthropic_messages.hpp"
#include "server/endpoints/answer.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/parse_body.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

struct PreparedMessages {
    GenerationFields fields;
    std::vector<TokenId> token_ids;
};

// `parse` is parse_messages_request or parse_count_request.
asio::awaitable<result<PreparedMessages>> prepare(GenerationService& generation, HttpExchange& exchange,
                                                  JobSource source, decltype(&parse_messages_request) parse) {
    auto parsing = parse_body(generation, source, exchange.take_body(), parse);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->generation.model); !served) co_return served.error();
    auto rendering = render_chat(generation, source, std::move(request->prompt), "messages");
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    PreparedMessages prepared{std::move(request->generation), std::move(rendered->token_ids)};
    co_return prepared;
}

asio::awaitable<result<PendingAnswer>> begin(GenerationService& generation, HttpExchange& exchange) {
    // This check comes first, so that a full or starting server does no work for a request.
    if (auto open = generation.engine.check_open(exchange.request().caller); !open) co_return open.error();
    // The charge ends when the request was admitted or refused.
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto preparing = prepare(generation, exchange, source, &parse_messages_request);
    auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    AnswerContext context{make_identity("msg_", generation.model.names.front()), std::move(prepared->fields),
                          generation.tokenizer};
    std::vector<std::vector<TokenId>> prompts;
    prompts.push_back(std::move(prepared->token_ids));
    auto admitting = compile_and_admit(generation, source, context.fields, exchange.request().caller,
                                       std::move(prompts), "messages");
    auto admitted = co_await std::move(admitting);
    if (!admitted) co_return admitted.error();
    PendingAnswer pending{std::make_unique<MessagesAnswerWriter>(std::move(context)), *std::move(admitted)};
    co_return pending;
}

asio::awaitable<result<HttpResponse>> count(GenerationService& generation, HttpExchange& exchange) {
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto preparing = prepare(generation, exchange, source, &parse_count_request);
    auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    HttpResponse response;
    response.body = messages_count_json(prepared->token_ids.size());
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_messages(GenerationService& generation, HttpExchange& exchange) {
    auto pending = co_await begin(generation, exchange);
    co_await send_completion(exchange, std::move(pending), generation);
}

asio::awaitable<void> handle_count_tokens(GenerationService& generation, HttpExchange& exchange) {
    auto counted = co_await count(generation, exchange);
    co_await respond(exchange, std::move(counted));
}

}  // namespace solard::server
