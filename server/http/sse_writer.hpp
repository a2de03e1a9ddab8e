// Writes a stream of server-sent events to one exchange. Lines end with LF, each wake-up of the stream causes
// one write, and idle bytes keep a silent connection open.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "server/config/error.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Two bare line feeds are the only idle bytes that every client accepts.
inline constexpr std::string_view idle_bytes = "\n\n";

// The header is sent together with the first event or the first idle bytes, so that an error before that
// point still has its own HTTP status.
class SseWriter {
  public:
    explicit SseWriter(HttpExchange& exchange) : exchange_(exchange) {}

    // The caller appends events to this buffer; the next flush() sends them.
    std::string& buffer() { return buffer_; }
    boost::asio::awaitable<void> flush();
    // Sends what is buffered, followed by idle_bytes.
    boost::asio::awaitable<void> idle();
    // Sends what is buffered and the error object as the last event, without [DONE], and ends the body. If
    // nothing was sent yet, sends an error answer instead.
    boost::asio::awaitable<void> fail(Error error);
    // Sends what is buffered and [DONE], and ends the body.
    boost::asio::awaitable<void> done();
    // Sends what is buffered and ends the body.
    boost::asio::awaitable<void> end();

  private:
    HttpExchange& exchange_;
    std::string buffer_;
};

}  // namespace solard::server
