// POST /tokenize and /detokenize.
#include <utility>

#include "server/api/tokenize.hpp"
#include "server/app.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/worker_thread.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

std::string text_to_tokenize(const TokenizeRequest& request) {
    if (const auto* text = std::get_if<std::string>(&request.prompt)) return *text;
    const auto& chat = std::get<ChatPrompt>(request.prompt);
    return render_solar_prompt(chat.messages, chat.end);
}

asio::awaitable<result<HttpResponse>> tokenize(App& app, const HttpRequest& http) {
    auto parsing = run_on_helper(
        app, http.body.size() <= parse_inline_bytes,
        [body = http.body, unknown = app.unknown_fields()] { return parse_tokenize_request(body, unknown); });
    const auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(app, request->model); !served) co_return served.error();
    const bool is_chat = std::holds_alternative<ChatPrompt>(request->prompt);
    auto encoding = encode_prompt(app, text_to_tokenize(*request), is_chat ? "messages" : "prompt");
    const auto token_ids = co_await std::move(encoding);
    if (!token_ids) co_return token_ids.error();
    std::span<const TokenId> shown = *token_ids;
    if (!request->add_special_tokens) shown = shown.subspan(1);  // without BOS
    HttpResponse response;
    response.body = tokenize_json(shown, app.model.context_length, request->return_token_strs, app.tokenizer);
    co_return response;
}

asio::awaitable<result<HttpResponse>> detokenize(App& app, const HttpRequest& http) {
    auto parsing =
        run_on_helper(app, http.body.size() <= parse_inline_bytes,
                      [body = http.body, unknown = app.unknown_fields(), size = app.model.config.vocab_size] {
                          return parse_detokenize_request(body, unknown, size);
                      });
    const auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(app, request->model); !served) co_return served.error();
    HttpResponse response;
    response.body = detokenize_json(request->tokens, app.tokenizer);
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_tokenize(App& app, HttpExchange& exchange) {
    auto tokens = co_await tokenize(app, exchange.request());
    co_await respond(exchange, std::move(tokens));
}

asio::awaitable<void> handle_detokenize(App& app, HttpExchange& exchange) {
    auto text = co_await detokenize(app, exchange.request());
    co_await respond(exchange, std::move(text));
}

}  // namespace solard::server
