// POST /v1/chat/completions, and its rendering without an answer.
#include <utility>

#include "server/api/chat_completions.hpp"
#include "server/api/tokenize.hpp"
#include "server/app.hpp"
#include "server/endpoints/answer.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/worker_thread.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

struct RenderedChat {
    ChatRequest request;
    std::string text;
    std::vector<TokenId> token_ids;
};

asio::awaitable<result<RenderedChat>> render_chat(App& app, std::string body) {
    const bool is_short = body.size() <= parse_inline_bytes;
    auto parsing = run_on_helper(app, is_short, [body = std::move(body), unknown = app.unknown_fields()] {
        return parse_chat_request(body, unknown);
    });
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(app, request->generation.model); !served) co_return served.error();
    std::string text = render_solar_prompt(request->prompt.messages, request->prompt.end);
    auto encoding = encode_prompt(app, text, "messages");
    auto token_ids = co_await std::move(encoding);
    if (!token_ids) co_return token_ids.error();
    RenderedChat chat{*std::move(request), std::move(text), *std::move(token_ids)};
    co_return chat;
}

// As far as the answer shows it.
ShownPrompt shown(const GenerationFields& fields, const ChatRequest& request,
                  const std::vector<TokenId>& token_ids) {
    ShownPrompt prompt;
    const ChatMessage& last = request.prompt.messages.back();
    if (request.echo && last.role == Role::assistant) prompt.text = last.content;
    if (fields.return_token_ids) prompt.token_ids = token_ids;
    return prompt;
}

asio::awaitable<result<PendingAnswer>> begin_chat(App& app, const HttpRequest& http) {
    // First, so that a full or starting server spends nothing on a request.
    if (auto open = app.engine.check_open(); !open) co_return open.error();
    auto rendering = render_chat(app, http.body);
    auto chat = co_await std::move(rendering);
    if (!chat) co_return chat.error();
    AnswerContext context{make_identity(app, "chatcmpl-"), std::move(chat->request.generation),
                          app.tokenizer};
    context.prompts.push_back(shown(context.fields, chat->request, chat->token_ids));
    std::vector<std::vector<TokenId>> prompts;
    prompts.push_back(std::move(chat->token_ids));
    auto admitted = admit(app, context.fields, http.caller, std::move(prompts), "messages");
    if (!admitted) co_return admitted.error();
    PendingAnswer pending{std::make_unique<ChatAnswerWriter>(std::move(context)), *std::move(admitted)};
    co_return pending;
}

asio::awaitable<result<HttpResponse>> render_only(App& app, const HttpRequest& http) {
    auto rendering = render_chat(app, http.body);
    const auto chat = co_await std::move(rendering);
    if (!chat) co_return chat.error();
    HttpResponse response;
    response.body =
        render_json(app.model.names.front(), chat->text, chat->token_ids, app.model.context_length);
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_chat_completions(App& app, HttpExchange& exchange) {
    auto pending = co_await begin_chat(app, exchange.request());
    co_await answer(app, exchange, std::move(pending));
}

asio::awaitable<void> handle_render(App& app, HttpExchange& exchange) {
    auto rendered = co_await render_only(app, exchange.request());
    co_await respond(exchange, std::move(rendered));
}

}  // namespace solard::server
