// POST /v1/chat/completions: from the body to the last byte of the answer.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "inference/detokenizer.hpp"
#include "server/api/chat_completions.hpp"
#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/handlers.hpp"
#include "server/http_exchange.hpp"
#include "server/random_bits.hpp"
#include "server/request_builder.hpp"
#include "server/run_until.hpp"
#include "server/sse_writer.hpp"

namespace solard {
namespace {

namespace asio = boost::asio;

// What is larger goes to the helper thread: about a millisecond of the loop.
constexpr std::size_t parse_inline_bytes = 64 << 10;
constexpr std::size_t encode_inline_bytes = 8 << 10;
constexpr std::size_t max_model_name_shown = 200;  // bytes

ChatIdentity make_identity(const App& app) {
    constexpr std::string_view hex = "0123456789abcdef";
    ChatIdentity identity;
    identity.id = "chatcmpl-";
    for (int word = 0; word < 2; ++word) {
        auto bits = random_bits();
        for (int i = 0; i < 12; ++i, bits >>= 4) identity.id += hex[bits & 15];
    }
    identity.model = app.model.names.front();
    identity.created =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    return identity;
}

// What fits into the context and the KV pool beside the prompt; or why the request does not.
result<std::int32_t> token_budget(const App& app, std::size_t prompt_tokens,
                                  std::optional<std::int32_t> asked) {
    const auto context = std::int64_t{app.model.context_length};
    const auto prompt = static_cast<std::int64_t>(prompt_tokens);
    const std::string maximum =
        "This model's maximum context length is " + std::to_string(context) + " tokens";
    if (prompt >= context)
        return Error{errc::context_length_exceeded,
                     maximum + ", but the prompt has " + std::to_string(prompt) +
                         " tokens; shorten it to at most " + std::to_string(context - 1) + ".",
                     "messages"};
    if (asked && prompt + *asked > context)
        return Error{errc::context_length_exceeded,
                     maximum + ", but the request asks for " + std::to_string(prompt + *asked) + " (" +
                         std::to_string(prompt) + " in the prompt, " + std::to_string(*asked) +
                         " in max_tokens); max_tokens can be at most " + std::to_string(context - prompt) +
                         ".",
                     "max_tokens"};
    const auto pool = app.engine.capacity_tokens();
    const auto room = pool > prompt ? std::min(context, pool) - prompt : context - prompt;
    return asked.value_or(static_cast<std::int32_t>(room));
}

Usage usage_of(const ResponseLog& log, std::size_t prompt_tokens) {
    return {prompt_tokens, log.num_tokens(), log.cached_tokens()};
}

asio::awaitable<void> stream_answer(const App& app, HttpExchange& exchange, ResponseLog& log,
                                    const ChatRequest& chat, const ChatIdentity& identity,
                                    std::size_t prompt_tokens) {
    LogReader reader(log, exchange.executor());
    SseWriter sse(exchange);
    ChatChunkWriter chunks({identity, chat.sampling, app.tokenizer});
    for (;;) {
        const bool news = co_await reader.wait(app.config.keep_alive_interval);
        if (!news) {
            co_await sse.idle();
            continue;
        }
        for (const auto& delta : reader.read()) chunks.append(sse.buffer(), delta);
        if (auto failure = log.failure()) co_return co_await sse.fail(*std::move(failure));
        if (log.terminal()) break;
        co_await sse.flush();
    }
    if (chat.include_usage) chunks.usage(sse.buffer(), usage_of(log, prompt_tokens));
    co_await sse.done();
}

asio::awaitable<void> whole_answer(const App& app, HttpExchange& exchange, ResponseLog& log,
                                   const ChatRequest& chat, const ChatIdentity& identity,
                                   std::size_t prompt_tokens) {
    LogReader reader(log, exchange.executor());
    co_await reader.wait_terminal();
    HttpResponse response;
    if (const auto& failure = log.failure()) {
        response = error_response(*failure);
    } else {
        response.body = chat_completion_json({identity, chat.sampling, app.tokenizer}, log.read_all(),
                                             usage_of(log, prompt_tokens));
    }
    co_await exchange.respond(std::move(response));
}

// Everything that can refuse the request before a status line is sent.
struct Admitted {
    ChatRequest chat;
    std::size_t prompt_tokens;
    Generation generation;
};

asio::awaitable<result<ChatRequest>> parse_body(std::string body) {
    co_return parse_chat_request(body);
}

asio::awaitable<std::vector<TokenId>> encode_text(const Tokenizer* tokenizer, std::string text) {
    co_return tokenizer->encode_prompt(text);
}

template <class T>
asio::awaitable<T> run_inline_or_on_helper(App& app, bool small, asio::awaitable<T> work) {
    if (small) co_return co_await std::move(work);
    co_return co_await asio::co_spawn(app.helpers, std::move(work), asio::use_awaitable);
}

// A text too long for the context whatever its pieces are is refused without being encoded.
result<void> check_text_size(const App& app, std::size_t num_bytes) {
    const auto most =
        static_cast<std::size_t>(app.model.context_length) * app.tokenizer.longest_piece_bytes();
    if (num_bytes <= most) return {};
    return Error{errc::context_length_exceeded,
                 "This model's maximum context length is " + std::to_string(app.model.context_length) +
                     " tokens, but the prompt has " + std::to_string(num_bytes) + " bytes and at least " +
                     std::to_string(num_bytes / app.tokenizer.longest_piece_bytes()) + " tokens.",
                 "messages"};
}

asio::awaitable<result<Admitted>> admit(App& app, const HttpRequest& http) {
    const std::string& body = http.body;
    // First, so that a full or starting server spends nothing on a request.
    if (auto open = app.engine.check_open(); !open) co_return open.error();
    auto parsing = parse_body(body);
    auto chat = co_await run_inline_or_on_helper(app, body.size() <= parse_inline_bytes, std::move(parsing));
    if (!chat) co_return chat.error();
    if (!app.model.answers_to(chat->model))
        co_return Error{
            errc::model_not_found,
            "The model '" + valid_utf8(chat->model.substr(0, max_model_name_shown)) + "' is not served here.",
            "model"};
    auto text = render_solar_prompt(chat->messages);
    if (auto fits = check_text_size(app, text.size()); !fits) co_return fits.error();
    const bool short_text = text.size() <= encode_inline_bytes;
    auto encoding = encode_text(&app.tokenizer, std::move(text));
    auto prompt = co_await run_inline_or_on_helper(app, short_text, std::move(encoding));
    const std::size_t prompt_tokens = prompt.size();
    const auto max_tokens = token_budget(app, prompt_tokens, chat->max_tokens);
    if (!max_tokens) co_return max_tokens.error();
    auto request = build_request(app, chat->sampling, http.connection, std::move(prompt), *max_tokens);
    if (!request) co_return request.error();
    auto generation = app.engine.submit(*std::move(request));
    if (!generation) co_return generation.error();
    Admitted admitted{*std::move(chat), prompt_tokens, *std::move(generation)};
    co_return admitted;
}

}  // namespace

asio::awaitable<void> handle_chat_completions(App& app, HttpExchange& exchange) {
    auto admitted = co_await admit(app, exchange.request());
    if (!admitted) {
        auto response = error_response(admitted.error());
        co_return co_await exchange.respond(std::move(response));
    }
    const auto identity = make_identity(app);
    auto& log = admitted->generation.log();
    const auto write_answer = admitted->chat.stream ? stream_answer : whole_answer;
    auto answer = write_answer(app, exchange, log, admitted->chat, identity, admitted->prompt_tokens);
    // A read stays pending beside the answer: only it sees a client leave while there is nothing to write.
    // Leaving ends this coroutine, and `admitted` cancels the generation.
    auto gone = exchange.client_gone();
    co_await run_until(std::move(answer), std::move(gone));
}

}  // namespace solard
