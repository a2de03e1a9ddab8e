// POST /tokenize and /detokenize.
#include <utility>

#include "server/api/tokenize.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/parse_body.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

asio::awaitable<result<std::vector<TokenId>>> encode(GenerationService& generation, JobSource source,
                                                     TokenizeRequest request) {
    if (auto* text = std::get_if<std::string>(&request.prompt)) {
        auto encoding = encode_prompt(generation, source, std::move(*text), request.encoding, "prompt");
        co_return co_await std::move(encoding);
    }
    auto& chat = std::get<ChatPrompt>(request.prompt);
    auto rendering = render_chat(generation, source, std::move(chat), "messages");
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    co_return std::move(rendered->token_ids);
}

asio::awaitable<result<HttpResponse>> tokenize(GenerationService& generation, HttpExchange& exchange) {
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto parsing = parse_body(generation, source, exchange.take_body(), parse_tokenize_request);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->model); !served) co_return served.error();
    const bool wants_strings = request->return_token_strs;
    auto encoding = encode(generation, source, *std::move(request));
    auto token_ids = co_await std::move(encoding);
    if (!token_ids) co_return token_ids.error();
    const bool is_short = token_ids->size() <= max_inline_tokens;
    auto work = [token_ids = *std::move(token_ids), context_length = generation.model.context_length,
                 strings = wants_strings, &tokenizer = generation.tokenizer] {
        return tokenize_json(token_ids, context_length, strings, tokenizer);
    };
    auto rendering = generation.worker.offload(source, is_short, std::move(work));
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    HttpResponse response;
    response.body = *std::move(rendered);
    co_return response;
}

asio::awaitable<result<HttpResponse>> detokenize(GenerationService& generation, HttpExchange& exchange) {
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    const auto parse = [vocab_size = generation.model.config.vocab_size](const std::string& body,
                                                                         UnknownFields unknown) {
        return parse_detokenize_request(body, unknown, vocab_size);
    };
    auto parsing = parse_body(generation, source, exchange.take_body(), parse);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->model); !served) co_return served.error();
    const bool is_short = request->tokens.size() <= max_inline_tokens;
    auto work = [request = *std::move(request), &tokenizer = generation.tokenizer] {
        return detokenize_json(request, tokenizer);
    };
    auto rendering = generation.worker.offload(source, is_short, std::move(work));
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    HttpResponse response;
    response.body = *std::move(rendered);
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_tokenize(GenerationService& generation, HttpExchange& exchange) {
    auto tokens = co_await tokenize(generation, exchange);
    co_await respond(exchange, std::move(tokens));
}

asio::awaitable<void> handle_detokenize(GenerationService& generation, HttpExchange& exchange) {
    auto text = co_await detokenize(generation, exchange);
    co_await respond(exchange, std::move(text));
}

}  // namespace solard::server
