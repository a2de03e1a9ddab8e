#include "server/endpoints/answer.hpp"

#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/config/random_bits.hpp"
#include "server/http/exchange.hpp"
#include "server/http/run_until.hpp"
#include "server/http/sse_writer.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

Usage usage_of(const Admitted& admitted) {
    const ResponseLog& log = admitted.log();
    return {admitted.prompt_tokens(), log.num_tokens(), log.cached_tokens()};
}

asio::awaitable<void> stream_answer(const App& app, HttpExchange& exchange, AnswerWriter& writer,
                                    const Admitted& admitted) {
    ResponseLog& log = admitted.log();
    Wakeup wakeup(exchange.executor());
    LogReader reader(log, wakeup);
    SseWriter sse(exchange);
    for (;;) {
        const bool news = co_await reader.wait(app.config.keep_alive_interval);
        if (!news) {
            co_await sse.idle();
            continue;
        }
        for (const auto& delta : reader.read()) writer.append_chunks(sse.buffer(), delta, usage_of(admitted));
        if (auto failure = log.failure()) co_return co_await sse.fail(*std::move(failure));
        if (log.terminal()) break;
        co_await sse.flush();
    }
    writer.append_usage_chunk(sse.buffer(), usage_of(admitted));
    co_await sse.done();
}

asio::awaitable<void> whole_answer(const App&, HttpExchange& exchange, AnswerWriter& writer,
                                   const Admitted& admitted) {
    Wakeup wakeup(exchange.executor());
    LogReader reader(admitted.log(), wakeup);
    co_await reader.wait_terminal();
    HttpResponse response;
    if (const auto& failure = admitted.log().failure()) {
        response = error_response(*failure);
    } else {
        response.body = writer.whole(admitted.log().read_all(), usage_of(admitted));
    }
    co_await exchange.respond(std::move(response));
}

}  // namespace

AnswerIdentity make_identity(const App& app, std::string_view prefix) {
    AnswerIdentity identity;
    identity.id = std::string(prefix) + random_hex();
    identity.model = app.model.names.front();
    identity.created =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    return identity;
}

asio::awaitable<void> answer(const App& app, HttpExchange& exchange, result<PendingAnswer> pending) {
    if (!pending) {
        auto response = error_response(pending.error());
        co_return co_await exchange.respond(std::move(response));
    }
    const auto write = pending->writer->fields().stream ? stream_answer : whole_answer;
    auto writing = write(app, exchange, *pending->writer, pending->admitted);
    // A read stays pending beside the answer: only it sees a client leave while there is nothing to write.
    // Leaving ends this coroutine, and `pending` cancels the generation.
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

}  // namespace solard::server
