#include "server/endpoints/answer.hpp"

#include <algorithm>
#include <functional>
#include <new>
#include <utility>
#include <vector>

#include "server/endpoints/refusal.hpp"
#include "server/http/document_response.hpp"
#include "server/http/error_response.hpp"
#include "server/http/run_until.hpp"
#include "server/http/sse_writer.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

// The limit in bytes for one read from the log. As JSON, the result of a read can be about 12 times as large:
// a log probability takes 8 bytes in the log and up to about 100 bytes in JSON.
constexpr std::size_t max_read_bytes = 16 << 10;
// The limit for the number of outputs in one read. The first chunk of each output may also repeat a whole
// prompt.
constexpr std::size_t max_read_outputs = 8;

bool has_same_size(const LogDelta& a, const LogDelta& b) {
    return a.text.size() == b.text.size() && a.logprobs.size() == b.logprobs.size() &&
           a.token_ids.size() == b.token_ids.size() && a.items.size() == b.items.size() &&
           a.prompt_logprobs.size() == b.prompt_logprobs.size();
}

Usage usage_of(const Generation& generation) {
    const GenerationLog& log = generation.log();
    return {generation.prompt_tokens(), log.num_tokens(), log.cached_tokens()};
}

asio::awaitable<void> fail(SseWriter& sse, const AnswerWriter& writer, Error error) {
    std::string event;
    writer.append_error(event, error);
    auto failing = sse.fail(std::move(error), std::move(event));
    co_await std::move(failing);
}

// Writes the events of the answer until the answer ends or an error occurs.
asio::awaitable<void> stream_events(SseWriter& sse, HttpExchange& exchange, AnswerWriter& writer,
                                    const Generation& generation, GenerationService& service) {
    GenerationLog& log = generation.log();
    Wakeup wakeup(exchange.executor());
    LogReader reader(log, wakeup);
    for (;;) {
        const bool news = co_await reader.wait(service.config.keep_alive_interval);
        if (!news) {
            generation.keep_place();
            co_await sse.idle();
            continue;
        }
        while (reader.num_unread() > 0 && sse.buffer().size() < max_document_piece) {
            for (const auto& delta : reader.read(max_read_bytes, max_read_outputs))
                writer.append_chunks(sse.buffer(), delta, usage_of(generation));
        }
        if (reader.num_unread() == 0) {
            if (auto failure = log.failure()) {
                if (!exchange.header_sent()) co_await wait_for_slot(service, exchange, failure->code);
                auto failing = fail(sse, writer, *std::move(failure));
                co_return co_await std::move(failing);
            }
            if (log.terminal()) break;
        }
        co_await sse.flush();
    }
    writer.append_usage_chunk(sse.buffer(), usage_of(generation));
    writer.append_end(sse.buffer());
    co_await sse.end();
}

asio::awaitable<void> stream_answer(HttpExchange& exchange, AnswerWriter& writer,
                                    const Generation& generation, GenerationService& service) {
    SseWriter sse(exchange);
    bool out_of_memory = false;
    try {
        auto streaming = stream_events(sse, exchange, writer, generation, service);
        co_await std::move(streaming);
    } catch (const std::bad_alloc&) {
        out_of_memory = true;
    }
    if (!out_of_memory) co_return;
    sse.buffer().clear();  // the last event in the buffer may be incomplete
    Error error{errc::server_error, {}};
    auto failing = fail(sse, writer, std::move(error));
    co_await std::move(failing);
}

asio::awaitable<void> whole_answer(HttpExchange& exchange, AnswerWriter& writer, const Generation& generation,
                                   GenerationService& service) {
    const GenerationLog& log = generation.log();
    Wakeup wakeup(exchange.executor());
    LogReader reader(generation.log(), wakeup);
    co_await reader.wait_terminal();
    if (const auto& failure = log.failure()) {
        co_await wait_for_slot(service, exchange, failure->code);
        auto response = error_response(*failure);
        co_return co_await exchange.respond(std::move(response));
    }
    std::vector<LogDelta> outputs = log.read_all();
    Document document = writer.whole(outputs, usage_of(generation));
    // Reads the outputs again, because the log may have moved their text. Returns false if the log has lost
    // the text.
    std::function<bool()> reread = [&] {
        const auto now = log.read_all();
        const bool same = std::ranges::equal(now, outputs, has_same_size);
        if (same) std::ranges::copy(now, outputs.begin());
        return same;
    };
    auto sending = send_document(exchange, document, std::move(reread));
    co_await std::move(sending);
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
    // client_gone() reads from the connection while the answer is written. Without this read, the server
    // would not notice that the client leaves during a pause in the answer. If the client leaves, this
    // coroutine ends, and the destructor of `pending` cancels the generation.
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

}  // namespace solard::server
