#include "server/endpoints/answer.hpp"

#include "server/endpoints/refusal.hpp"
#include "server/http/error_response.hpp"
#include "server/http/run_until.hpp"
#include "server/http/sse_writer.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

Usage usage_of(const Generation& generation) {
    const GenerationLog& log = generation.log();
    return {generation.prompt_tokens(), log.num_tokens(), log.cached_tokens()};
}

asio::awaitable<void> stream_answer(HttpExchange& exchange, AnswerWriter& writer,
                                    const Generation& generation, GenerationService& service) {
    GenerationLog& log = generation.log();
    Wakeup wakeup(exchange.executor());
    LogReader reader(log, wakeup);
    SseWriter sse(exchange);
    for (;;) {
        const bool news = co_await reader.wait(service.config.keep_alive_interval);
        if (!news) {
            generation.keep_place();
            co_await sse.idle();
            continue;
        }
        for (const auto& delta : reader.read())
            writer.append_chunks(sse.buffer(), delta, usage_of(generation));
        if (auto failure = log.failure()) {
            if (!exchange.header_sent()) co_await wait_for_slot(service, exchange, failure->code);
            co_return co_await sse.fail(*std::move(failure));
        }
        if (log.terminal()) break;
        co_await sse.flush();
    }
    writer.append_usage_chunk(sse.buffer(), usage_of(generation));
    co_await sse.done();
}

asio::awaitable<void> whole_answer(HttpExchange& exchange, AnswerWriter& writer, const Generation& generation,
                                   GenerationService& service) {
    Wakeup wakeup(exchange.executor());
    LogReader reader(generation.log(), wakeup);
    co_await reader.wait_terminal();
    HttpResponse response;
    if (const auto& failure = generation.log().failure()) {
        co_await wait_for_slot(service, exchange, failure->code);
        response = error_response(*failure);
    } else {
        response.body = writer.whole(generation.log().read_all(), usage_of(generation));
    }
    co_await exchange.respond(std::move(response));
}

}  // namespace

asio::awaitable<void> send_completion(HttpExchange& exchange, result<PendingAnswer> pending,
                                      GenerationService& service) {
    if (!pending) {
        auto refusing = refuse(service, exchange, pending.error());
        co_return co_await std::move(refusing);
    }
    AnswerWriter& writer = *pending->writer;
    auto writing = writer.fields().stream ? stream_answer(exchange, writer, pending->generation, service)
                                          : whole_answer(exchange, writer, pending->generation, service);
    // client_gone() reads while the answer is written: without a read, the server would not notice that the
    // client leaves while there is nothing to write. If the client leaves, this coroutine ends, and the
    // destructor of `pending` cancels the generation.
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

}  // namespace solard::server
