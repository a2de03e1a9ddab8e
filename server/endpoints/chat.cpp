// POST /v1/chat/completions and POST /v1/chat/completions/render.
#include <utility>

#include "server/api/chat_completions.hpp"
#include "server/api/tokenize.hpp"
#include "server/endpoints/answer.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/parse_body.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

struct PreparedChat {
    GenerationFields fields;
    std::string echoed;  // the message which the answer continues and repeats; empty if there is none
    RenderedChat rendered;
};

asio::awaitable<result<PreparedChat>> prepare_chat(GenerationService& generation, HttpExchange& exchange,
                                                   JobSource source) {
    auto parsing = parse_body(generation, source, exchange.take_body(), parse_chat_request);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->generation.model); !served) co_return served.error();
    PreparedChat chat{std::move(request->generation), {}, {}};
    const ChatMessage& last = request->prompt.messages.back();
    if (request->echo && last.role == Role::assistant) chat.echoed = last.content;
    auto rendering = render_chat(generation, source, std::move(request->prompt), "messages");
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    chat.rendered = *std::move(rendered);
    co_return chat;
}

asio::awaitable<result<PendingAnswer>> begin_chat(GenerationService& generation, HttpExchange& exchange) {
    // This check comes first, so that a full or starting server does no work for a request.
    if (auto open = generation.engine.check_open(exchange.request().caller); !open) co_return open.error();
    // The charge ends when the request was admitted or refused.
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto preparing = prepare_chat(generation, exchange, source);
    auto chat = co_await std::move(preparing);
    if (!chat) co_return chat.error();
    AnswerContext context{make_identity("chatcmpl-", generation.model.names.front()), std::move(chat->fields),
                          generation.tokenizer};
    ShownPrompt shown;
    shown.text = std::move(chat->echoed);
    if (context.fields.return_token_ids) shown.token_ids = chat->rendered.token_ids;
    context.prompts.push_back(std::move(shown));
    std::vector<std::vector<TokenId>> prompts;
    prompts.push_back(std::move(chat->rendered.token_ids));
    auto admitting = compile_and_admit(generation, source, context.fields, exchange.request().caller,
                                       std::move(prompts), "messages");
    auto admitted = co_await std::move(admitting);
    if (!admitted) co_return admitted.error();
    PendingAnswer pending{std::make_unique<ChatAnswerWriter>(std::move(context)), *std::move(admitted)};
    co_return pending;
}

asio::awaitable<result<HttpResponse>> render_only(GenerationService& generation, HttpExchange& exchange) {
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto preparing = prepare_chat(generation, exchange, source);
    auto chat = co_await std::move(preparing);
    if (!chat) co_return chat.error();
    const bool is_short = chat->rendered.token_ids.size() <= max_inline_tokens;
    auto work = [model = generation.model.names.front(), context_length = generation.model.context_length,
                 text = std::move(chat->rendered.text), token_ids = std::move(chat->rendered.token_ids)] {
        return render_json(model, text, token_ids, context_length);
    };
    auto writing = generation.worker.offload(source, is_short, std::move(work));
    auto written = co_await std::move(writing);
    if (!written) co_return written.error();
    HttpResponse response;
    response.body = *std::move(written);
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_chat_completions(GenerationService& generation, HttpExchange& exchange) {
    auto pending = co_await begin_chat(generation, exchange);
    co_await send_completion(exchange, std::move(pending), generation);
}

asio::awaitable<void> handle_render(GenerationService& generation, HttpExchange& exchange) {
    auto rendered = co_await render_only(generation, exchange);
    co_await respond(exchange, std::move(rendered));
}

}  // namespace solard::server
