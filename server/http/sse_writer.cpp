#include "server/http/sse_writer.hpp"

#include "server/api/error.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {

namespace asio = boost::asio;

asio::awaitable<void> SseWriter::flush() {
    if (buffer_.empty()) co_return;
    if (exchange_.header_sent()) {
        co_await exchange_.write(buffer_);
    } else {
        co_await exchange_.begin_stream("text/event-stream; charset=utf-8", buffer_);
    }
    buffer_.clear();
}

asio::awaitable<void> SseWriter::idle() {
    buffer_ += idle_bytes;
    co_await flush();
}

asio::awaitable<void> SseWriter::fail(Error error) {
    if (!exchange_.header_sent()) {
        auto response = error_response(error);
        co_await exchange_.respond(std::move(response));
        co_return;
    }
    exchange_.note_error(error.code);
    buffer_.append("data: ").append(error_body(error)).append("\n\n");
    co_await end();
}

asio::awaitable<void> SseWriter::done() {
    buffer_ += "data: [DONE]\n\n";
    co_await end();
}

asio::awaitable<void> SseWriter::end() {
    co_await flush();
    co_await exchange_.end_stream();
}

}  // namespace solard::server
