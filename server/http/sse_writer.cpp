#include "server/http/sse_writer.hpp"

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

asio::awaitable<void> SseWriter::fail(Error error, std::string event) {
    if (!exchange_.header_sent()) {
        auto response = error_response(error);
        co_await exchange_.respond(std::move(response));
        co_return;
    }
    exchange_.note_error(error.code);
    buffer_ += event;
    co_await end();
}

asio::awaitable<void> SseWriter::end() {
    co_await flush();
    co_await exchange_.end_stream();
}

}  // namespace solard::server
